package dev.outrigger;

import java.time.Duration;

/** Try this message again: what went wrong may pass. */
public class Retry extends RuntimeException {
    private static final long serialVersionUID = 1;
    private Duration after;
    private String code;
    private transient Object details;

    /**
     * A failure that may pass.
     *
     * @param message what a person should know
     */
    public Retry(String message) {
        this(message, null);
    }

    /**
     * A failure that may pass, with what led to it.
     *
     * @param message what a person should know
     * @param cause what led to it, or null
     */
    public Retry(String message, Throwable cause) {
        super(message, cause);
    }

    /**
     * Sets the least delay.
     *
     * @param after 0 or more
     * @return this
     */
    public Retry after(Duration after) {
        if (after.isNegative()) {
            throw new IllegalArgumentException("a delay of " + after + " has passed already: it is 0 or more");
        }
        this.after = after;
        return this;
    }

    /**
     * Names the error, for the case that the attempts run out.
     *
     * @param code a short word such as {@code busy}
     * @return this
     */
    public Retry code(String code) {
        this.code = code;
        return this;
    }

    /**
     * Adds what helps whoever reads the error then.
     *
     * @param details any value that has a JSON form
     * @return this
     */
    public Retry details(Object details) {
        this.details = details;
        return this;
    }

    /**
     * The least delay.
     *
     * @return the delay, or null
     */
    public Duration after() {
        return after;
    }

    /**
     * The code.
     *
     * @return the code, or null
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
