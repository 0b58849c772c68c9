package dev.outrigger;

/**
 * Serves handlers to an Outrigger sidecar.
 *
 * <pre>{@code
 * public static void main(String[] arguments) {
 *     Outrigger.serve((Map<String, Object> payload) -> Map.of("words", count((String) payload.get("text"))));
 * }
 * }</pre>
 */
public final class Outrigger {
    private static final String SOCKET = "OUTRIGGER_HANDLER_SOCKET";
    private static final String CONCURRENCY = "OUTRIGGER_HANDLER_CONCURRENCY";
    private static final String ACTOR = "OUTRIGGER_ACTOR";

    private final Functions functions = new Functions();
    private String socket;
    private Integer concurrency;
    private int maxFrame = Frames.DEFAULT_CAP;

    /** Nothing yet: {@link #function} adds what is to be served. */
    public Outrigger() {}

    /**
     * Serves one handler as the program's whole work: {@link #run}.
     *
     * @param handler what is called for every message
     * @param <P> what the payload is expected to be
     */
    public static <P> void serve(Handler<P> handler) {
        new Outrigger().function("process", handler).run();
    }

    /**
     * Serves one handler as the program's whole work: {@link #run}.
     *
     * @param handler what is called for every message
     * @param <P> what the payload is expected to be
     */
    public static <P> void serve(Handler.WithContext<P> handler) {
        new Outrigger().function("process", handler).run();
    }

    /**
     * Adds a handler under a name. One alone serves every request; of several the one that a request names.
     *
     * @param name what it is asked for by
     * @param handler what is called
     * @param <P> what the payload is expected to be
     * @return this
     */
    public <P> Outrigger function(String name, Handler<P> handler) {
        return function(name, (P payload, Context context) -> handler.process(payload));
    }

    /**
     * Adds a handler under a name. One alone serves every request; of several the one that a request names.
     *
     * @param name what it is asked for by
     * @param handler what is called
     * @param <P> what the payload is expected to be
     * @return this
     */
    public <P> Outrigger function(String name, Handler.WithContext<P> handler) {
        return add(name, false, handler);
    }

    /**
     * Adds a handler whose answer comes in pieces, and announces it as such.
     *
     * @param name what it is asked for by
     * @param handler what is called; it returns an {@code Iterator}, a {@code Stream} or {@link Parts}
     * @param <P> what the payload is expected to be
     * @return this
     */
    public <P> Outrigger streaming(String name, Handler<P> handler) {
        return streaming(name, (P payload, Context context) -> handler.process(payload));
    }

    /**
     * Adds a handler whose answer comes in pieces, and announces it as such.
     *
     * @param name what it is asked for by
     * @param handler what is called; it returns an {@code Iterator}, a {@code Stream} or {@link Parts}
     * @param <P> what the payload is expected to be
     * @return this
     */
    public <P> Outrigger streaming(String name, Handler.WithContext<P> handler) {
        return add(name, true, handler);
    }

    /**
     * Where to listen; {@code OUTRIGGER_HANDLER_SOCKET} by default.
     *
     * @param path at most 100 bytes
     * @return this
     */
    public Outrigger socket(String path) {
        this.socket = path;
        return this;
    }

    /**
     * How many calls may run at once; {@code OUTRIGGER_HANDLER_CONCURRENCY}, or else 1, by default.
     *
     * @param calls 1 or more
     * @return this
     */
    public Outrigger concurrency(int calls) {
        this.concurrency = calls;
        return this;
    }

    /**
     * The largest frame, either way; 256 MiB by default.
     *
     * @param bytes its size without the length
     * @return this
     */
    public Outrigger maxFrame(int bytes) {
        this.maxFrame = bytes;
        return this;
    }

    /**
     * Serves until it is told to stop; returns when all that was in flight has been answered.
     *
     * <p>An interrupt of the calling thread stops it as SIGINT does.
     *
     * @throws StartException where it cannot start
     */
    public void listen() throws StartException {
        Lifeline.hold();
        if (functions.isEmpty()) {
            throw new StartException("there is nothing to serve: add at least one function");
        }
        String path = socket != null ? socket : environment(SOCKET);
        if (path.isEmpty()) {
            throw new StartException(
                    "no socket to serve on: `outrigger up` sets " + SOCKET + "; by hand, give its path");
        }
        new Server(functions, atOnce(), maxFrame, environment(ACTOR)).run(path);
    }

    /** Serves as {@link #listen} does; where it cannot start it says why and ends the process, with 73 or 78. */
    public void run() {
        try {
            listen();
        } catch (StartException error) {
            System.err.println("outrigger: " + error.getMessage());
            System.exit(error.exitCode());
        }
    }

    private <P> Outrigger add(String name, boolean streaming, Handler.WithContext<P> handler) {
        // A payload of another type is met by the handler's own cast, as a ClassCastException of that message.
        @SuppressWarnings("unchecked")
        Handler.WithContext<Object> any = (Handler.WithContext<Object>) handler;
        functions.add(new Functions.Function(name, streaming, any));
        return this;
    }

    private int atOnce() throws StartException {
        int calls = 1;
        String text = environment(CONCURRENCY);
        if (concurrency != null) {
            calls = concurrency;
        } else if (!text.isEmpty()) {
            try {
                calls = Integer.parseInt(text);
            } catch (NumberFormatException error) {
                throw new StartException(CONCURRENCY + "=" + text + " is not a whole number");
            }
        }
        if (calls < 1) {
            throw new StartException("a concurrency of " + calls + " would serve nothing: it is 1 or more");
        }
        return calls;
    }

    private static String environment(String name) {
        String value = System.getenv(name);
        return value == null ? "" : value;
    }
}
