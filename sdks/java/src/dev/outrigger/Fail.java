package dev.outrigger;

/** Give this message up: trying again would not help. It goes to the error-end under the code. */
public class Fail extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final String code;
    private transient Object details;

    /**
     * A failure for good.
     *
     * @param code a short word such as {@code bad_image}
     * @param message what a person should know
     */
    public Fail(String code, String message) {
        this(code, message, null);
    }

    /**
     * A failure for good, with what led to it.
     *
     * @param code a short word such as {@code bad_image}
     * @param message what a person should know
     * @param cause what led to it, or null
     */
    public Fail(String code, String message, Throwable cause) {
        super(message, cause);
        if (code == null || code.isEmpty()) {
            throw new IllegalArgumentException("the code of a Fail is a short word such as bad_image");
        }
        this.code = code;
    }

    /**
     * Adds what helps whoever reads the error.
     *
     * @param details any value that has a JSON form
     * @return this
     */
    public Fail details(Object details) {
        this.details = details;
        return this;
    }

    /**
     * The code.
     *
     * @return the code
     */
    public String code() {
        return code;
    }

    /**
     * The details.
     *
     * @return the details, or null
     */
    public Object details() {
        return details;
    }
}
