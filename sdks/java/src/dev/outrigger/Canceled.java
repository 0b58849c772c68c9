package dev.outrigger;

/**
 * Nobody waits for this call any more: the sidecar has closed its connection.
 *
 * <p>Thrown by {@link Context#progress(double)}, {@link Context#partial} and {@link Context#heartbeat}. It is an {@code
 * Error}, so that a broad {@code catch (Exception e)} does not keep unwanted work going.
 */
public final class Canceled extends Error {
    private static final long serialVersionUID = 1;

    Canceled(String message) {
        super(message);
    }
}
