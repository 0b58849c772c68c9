package dev.outrigger;

/** The runtime cannot start as it was asked to. */
public final class StartException extends Exception {
    static final int CONFIG = 78;
    static final int CANNOT_CREATE = 73;

    private static final long serialVersionUID = 1;
    private final int exitCode;

    StartException(String message) {
        this(message, CONFIG);
    }

    StartException(String message, int exitCode) {
        super(message);
        this.exitCode = exitCode;
    }

    /**
     * What a process leaves with for this reason.
     *
     * @return 73 where the socket cannot be made, 78 for a setting that cannot be
     */
    public int exitCode() {
        return exitCode;
    }
}
