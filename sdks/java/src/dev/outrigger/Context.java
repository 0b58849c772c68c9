package dev.outrigger;

import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a handler is told about its call, and what it can tell while it works.
 *
 * <p>{@link #forTest} makes the one for a unit test: what the handler tells is kept in {@link #reported}.
 */
public final class Context {
    private final String id;
    private final String actor;
    private final String function;
    private final long attempt;
    private final Instant deadline;
    private final Map<String, Object> headers;
    private final Report report;
    private final List<Map<String, Object>> reported = new ArrayList<>();
    /** Held while a report is written, so that the final frame is the last one of an exchange. */
    private final Object sending = new Object();
    private boolean ended;
    private volatile boolean canceled;
    private Thread worker;
    private Runnable onCancel = () -> {};

    /** Takes a report to the sidecar. */
    interface Report {
        void send(byte[] frame) throws IOException;
    }

    Context(Map<?, ?> meta, String actor, Report report) {
        this.id = meta.get("id") instanceof String text ? text : "";
        this.actor = meta.get("actor") instanceof String text && !text.isEmpty() ? text : actor;
        this.function = meta.get("function") instanceof String text ? text : null;
        this.attempt = meta.get("attempt") instanceof Number number ? number.longValue() : 1;
        this.deadline = Times.parse(meta.get("deadline"));
        Map<String, Object> known = new LinkedHashMap<>();
        if (meta.get("headers") instanceof Map<?, ?> given) {
            given.forEach((name, value) -> known.put(String.valueOf(name), value));
        }
        this.headers = Collections.unmodifiableMap(known);
        this.report = report;
    }

    /**
     * A context without a sidecar.
     *
     * @param meta any of {@code id}, {@code actor}, {@code function}, {@code attempt}, {@code headers}, and {@code deadline}
     *     as an RFC 3339 text
     * @return the context
     */
    public static Context forTest(Map<String, ?> meta) {
        Map<String, Object> all = new LinkedHashMap<>(Map.of("id", "test"));
        all.putAll(meta);
        return new Context(all, "", null);
    }

    /**
     * The message's id, the same along its route, so the same when a message is delivered twice.
     *
     * @return the id
     */
    public String id() {
        return id;
    }

    /**
     * The actor that has the message.
     *
     * @return its name
     */
    public String actor() {
        return actor;
    }

    /**
     * The function that was asked for, where several are served.
     *
     * @return its name
     */
    public Optional<String> function() {
        return Optional.ofNullable(function);
    }

    /**
     * Which attempt at this step this is.
     *
     * @return a number from 1
     */
    public long attempt() {
        return attempt;
    }

    /**
     * The message's headers.
     *
     * @return them by their names
     */
    public Map<String, Object> headers() {
        return headers;
    }

    /**
     * When the answer is no longer wanted.
     *
     * @return the time; empty when never
     */
    public Optional<Instant> deadline() {
        return Optional.ofNullable(deadline);
    }

    /**
     * How long it is until the deadline.
     *
     * @return never below zero; empty where there is no deadline
     */
    public Optional<Duration> remaining() {
        return deadline().map(end -> Duration.between(Instant.now(), end)).map(left -> left.isNegative() ? Duration.ZERO : left);
    }

    /**
     * Nobody waits for the answer any more; a long loop looks at this and stops.
     *
     * @return whether that is so
     */
    public boolean canceled() {
        return canceled;
    }

    /**
     * Reports how far the work is.
     *
     * @param percent a percentage
     * @throws Canceled where nobody listens any more
     */
    public void progress(double percent) {
        tell(Map.of("percent", Json.plain(percent)), "progress");
    }

    /**
     * Reports what is being done.
     *
     * @param message for a person
     * @throws Canceled where nobody listens any more
     */
    public void progress(String message) {
        tell(Map.of("message", message), "progress");
    }

    /**
     * Reports how far the work is and what is being done.
     *
     * @param percent a percentage
     * @param message for a person
     * @throws Canceled where nobody listens any more
     */
    public void progress(double percent, String message) {
        Map<String, Object> both = new LinkedHashMap<>();
        both.put("percent", Json.plain(percent));
        both.put("message", message);
        tell(both, "progress");
    }

    /**
     * Streams a piece of the answer to whoever follows the job; it is not routed on.
     *
     * @param data any value that has a JSON form
     * @throws Canceled where nobody listens any more
     */
    public void partial(Object data) {
        tell(Collections.singletonMap("data", data), "partial");
    }

    /**
     * Says that the work goes on, where an idle timeout is set.
     *
     * @throws Canceled where nobody listens any more
     */
    public void heartbeat() {
        tell(Map.of(), "heartbeat");
    }

    /** Marks the call as canceled, as a closed connection does; in a test, what the handler then meets. */
    public void cancel() {
        Runnable watcher;
        synchronized (this) {
            if (canceled) {
                return;
            }
            canceled = true;
            watcher = onCancel;
            if (worker != null) {
                worker.interrupt();
            }
        }
        watcher.run();
    }

    /**
     * The frames that a context made for a test has been told; a real one sends them instead.
     *
     * @return them in order
     */
    public List<Map<String, Object>> reported() {
        synchronized (sending) {
            return List.copyOf(reported);
        }
    }

    /** Has a cancel told to {@code watcher}; set before anybody else knows this context. */
    void whenCanceled(Runnable watcher) {
        onCancel = watcher;
    }

    /** From now on a cancel interrupts this thread. */
    synchronized void begin() {
        worker = Thread.currentThread();
        if (canceled) {
            worker.interrupt();
        }
    }

    /** After this nothing is reported and nobody interrupted. */
    void end() {
        synchronized (this) {
            worker = null;
        }
        // What the handler, or a cancel that came too late, has left behind is not for the next call.
        Thread.interrupted();
        synchronized (sending) {
            ended = true;
        }
    }

    /** Asks with a heartbeat whether anybody listens; says nothing where the call has ended. */
    void probe() throws IOException {
        synchronized (sending) {
            if (!ended && !canceled) {
                report.send(Json.bytes(Map.of("status", "heartbeat")));
            }
        }
    }

    private void tell(Map<String, ?> fields, String status) {
        Map<String, Object> frame = new LinkedHashMap<>();
        frame.put("status", status);
        frame.putAll(fields);
        byte[] bytes = Json.bytes(frame);
        synchronized (sending) {
            if (canceled) {
                throw new Canceled("the sidecar has closed the connection");
            }
            if (ended) {
                throw new IllegalStateException("this call has ended: its context cannot report any more");
            }
            if (report == null) {
                reported.add(Collections.unmodifiableMap(frame));
                return;
            }
            try {
                report.send(bytes);
            } catch (IOException error) {
                cancel();
                throw new Canceled("the sidecar has closed the connection (" + error.getMessage() + ")");
            }
        }
    }
}
