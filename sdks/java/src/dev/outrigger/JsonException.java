package dev.outrigger;

/** A text that is not JSON, or a value that has no JSON form; the message says what and where. */
public final class JsonException extends RuntimeException {
    private static final long serialVersionUID = 1;

    JsonException(String message) {
        super(message);
    }
}
