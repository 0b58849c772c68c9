package dev.outrigger;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;

/**
 * JSON as the standard has it, both ways: no NaN, no Infinity, nothing after the value, at most 1000 levels.
 *
 * <p>Everything that crosses the socket goes through here. Half a surrogate pair, which has no UTF-8, comes in escaped and
 * goes out escaped.
 */
public final class Json {
    static final int MAX_DEPTH = 1000;

    private Json() {}

    /**
     * The value of a JSON text.
     *
     * @param text the text
     * @return what {@link Handler} says a payload may be
     * @throws JsonException where it is not JSON
     */
    public static Object parse(String text) {
        return new JsonReader(text).document();
    }

    /**
     * The JSON of a value, without spaces.
     *
     * @param value null, a {@code Boolean}, {@code Number}, {@code CharSequence}, {@code Character}, enum constant, {@code
     *     Map}, {@code Collection}, array, {@code Optional} or record
     * @return the text
     * @throws JsonException where it has no JSON form
     */
    public static String write(Object value) {
        return new String(bytes(value), StandardCharsets.UTF_8);
    }

    /** The JSON of a value in UTF-8. */
    static byte[] bytes(Object value) {
        JsonWriter writer = new JsonWriter();
        writer.document(value);
        return writer.bytes();
    }

    /** The value of a JSON text in UTF-8. */
    static Object parse(byte[] utf8) {
        return parse(text(utf8));
    }

    /** A double without a fraction as the integer that it is, which reads better in a report. */
    static Number plain(double value) {
        return value == Math.rint(value) && Math.abs(value) < 1e15 ? (Number) (long) value : (Number) value;
    }

    private static String text(byte[] utf8) {
        ByteBuffer in = ByteBuffer.wrap(utf8);
        // A new decoder reports what is malformed; the shortcut `new String` would replace it.
        CharBuffer out = CharBuffer.allocate(Math.min(utf8.length, 8192));
        var decoder = StandardCharsets.UTF_8.newDecoder();
        boolean ascii = true;
        for (byte b : utf8) {
            ascii &= b >= 0;
        }
        if (ascii) {
            return new String(utf8, StandardCharsets.ISO_8859_1);
        }
        StringBuilder text = new StringBuilder(utf8.length);
        while (true) {
            var step = decoder.decode(in, out, true);
            text.append(out.flip());
            out.clear();
            if (step.isError()) {
                throw new JsonException("the frame is not UTF-8 at byte " + in.position());
            }
            if (step.isUnderflow()) {
                return text.toString();
            }
        }
    }
}
