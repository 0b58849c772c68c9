package dev.outrigger;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * The frames that answer a request: {@code ok} with its result, or {@code error} with what is known of it.
 *
 * <p>An answer can always be written: what has no JSON becomes an error that says so.
 */
final class Replies {
    private static final int MAX_MESSAGE = 16 * 1024;
    private static final int MAX_TRACEBACK = 64 * 1024;
    private static final byte[] EMPTY = ascii("{\"status\":\"ok\"}");
    private static final byte[] BEFORE = ascii("{\"status\":\"ok\",\"result\":");
    private static final byte[] BEFORE_ONE = ascii("{\"status\":\"ok\",\"result\":[");
    private static final byte[] AFTER = ascii("}");
    private static final byte[] AFTER_ONE = ascii("]}");
    private static final Pattern OWN_LINES =
            Pattern.compile("\tat (\\S+/)?(dev\\.outrigger\\.|java\\.lang\\.Thread\\.run)[^\n]*\n");

    private Replies() {}

    /** The final frame of a call that returned {@code result}; null is an empty result. */
    static byte[] ok(Object result, int cap) {
        if (result == null) {
            return EMPTY;
        }
        boolean one = result instanceof One;
        byte[] body;
        try {
            body = Json.bytes(result instanceof One wrapped ? wrapped.value() : result);
        } catch (JsonException error) {
            return refusal("invalid_result", "the handler's result cannot be sent: " + error.getMessage());
        }
        byte[] before = one ? BEFORE_ONE : BEFORE;
        byte[] after = one ? AFTER_ONE : AFTER;
        long size = (long) before.length + body.length + after.length;
        if (size > cap) {
            String message = "the handler's result makes a frame of " + size + " bytes, more than the cap of " + cap;
            return refusal("result_too_large", message);
        }
        byte[] frame = new byte[(int) size];
        System.arraycopy(before, 0, frame, 0, before.length);
        System.arraycopy(body, 0, frame, before.length, body.length);
        System.arraycopy(after, 0, frame, before.length + body.length, after.length);
        return frame;
    }

    /** The final frame of a request that this runtime cannot serve, now or later. */
    static byte[] refusal(String code, String message) {
        Map<String, Object> frame = new LinkedHashMap<>();
        frame.put("status", "error");
        frame.put("error", code);
        frame.put("message", message);
        frame.put("retryable", false);
        return Json.bytes(frame);
    }

    /** The final frame of a call that threw. */
    static byte[] failed(Throwable error, int cap) {
        Map<String, Object> frame = new LinkedHashMap<>();
        frame.put("status", "error");
        if (error instanceof Fail fail) {
            frame.put("error", fail.code());
        } else if (error instanceof Retry retry && retry.code() != null) {
            frame.put("error", retry.code());
        }
        frame.put("message", clip(message(error), MAX_MESSAGE));
        frame.put("type", error.getClass().getName());
        if (error instanceof Fail fail) {
            frame.put("retryable", false);
            details(frame, fail.details());
        } else if (error instanceof Retry retry) {
            frame.put("retryable", true);
            if (retry.after() != null) {
                frame.put("retry_after", Json.plain(retry.after().toNanos() / 1e9));
            }
            details(frame, retry.details());
        }
        frame.put("traceback", clip(traceback(error), MAX_TRACEBACK));
        byte[] bytes = Json.bytes(frame);
        for (String luxury : new String[] {"traceback", "details", "message"}) {
            if (bytes.length > cap && frame.containsKey(luxury)) {
                frame.replace(luxury, "left out: the frame would be over the cap of " + cap + " bytes");
                bytes = Json.bytes(frame);
            }
        }
        return bytes;
    }

    private static String message(Throwable error) {
        String text = null;
        try {
            text = error.getMessage();
        } catch (RuntimeException | Error broken) {
            // Its own getMessage is the user's code too.
        }
        return text == null || text.isBlank() ? error.getClass().getName() : text;
    }

    /** The stack traces of an error and its causes, without the runtime's own lines. */
    private static String traceback(Throwable error) {
        StringWriter text = new StringWriter();
        try {
            error.printStackTrace(new PrintWriter(text, true));
        } catch (RuntimeException | Error broken) {
            return error.getClass().getName();
        }
        return OWN_LINES.matcher(text.toString()).replaceAll("");
    }

    private static void details(Map<String, Object> frame, Object details) {
        if (details != null) {
            Object shown = details;
            try {
                Json.bytes(details);
            } catch (JsonException error) {
                shown = error.getMessage();
            }
            frame.put("details", shown);
        }
    }

    private static String clip(String text, int limit) {
        if (text.length() <= limit) {
            return text;
        }
        int half = limit / 2;
        int left = text.length() - 2 * half;
        return text.substring(0, half)
                + "\n... " + left + " characters left out ...\n"
                + text.substring(text.length() - half);
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}
