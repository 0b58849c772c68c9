package dev.outrigger;

import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.util.ArrayDeque;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.function.Consumer;

/**
 * One connection of a sidecar: hello, pings, and one exchange after the other.
 *
 * <p>One thread serves; another reads ahead of it, so that the peer's going is noticed while a handler works. Whether a peer
 * that sends no more still listens only a write can tell: it is asked with heartbeats until the work has ended.
 */
final class Connection {
    static final int PROTOCOL = 1;
    /** So much may wait to be served before reading pauses; one frame may always. */
    private static final int READ_AHEAD = 64 * 1024;
    private static final long PROBE_MILLIS = 1000;

    private final SocketChannel channel;
    private final Shared shared;
    private final Consumer<Connection> onEnd;
    private final Frames.Writer writer;
    private final Queue<Frames.Frame> inbox = new ArrayDeque<>();
    private int waiting;
    private boolean readAll;
    private boolean gone;
    private boolean closing;
    private Context context;
    private Map<?, ?> meta = Map.of();

    /** What all connections of a server share. */
    record Shared(Functions functions, Slots slots, String actor, int maxFrame) {}

    /** The peer sent what the protocol does not have; the connection is given up. */
    private static final class Violation extends Exception {
        private static final long serialVersionUID = 1;

        Violation(String message) {
            super(message);
        }
    }

    Connection(SocketChannel channel, Shared shared, Consumer<Connection> onEnd) {
        this.channel = channel;
        this.shared = shared;
        this.onEnd = onEnd;
        this.writer = new Frames.Writer(channel);
    }

    void start() {
        for (Runnable part : new Runnable[] {this::read, this::run}) {
            Thread thread = new Thread(part, "outrigger-connection");
            thread.setDaemon(true);
            thread.start();
        }
    }

    /** Ends the connection after the exchange that runs on it; at once where none does. */
    synchronized void closeWhenIdle() {
        closing = true;
        if (context == null) {
            close();
        }
        notifyAll();
    }

    private void read() {
        try {
            Frames.widen(channel);
            Frames.Reader reader = new Frames.Reader(channel, shared.maxFrame());
            for (Frames.Frame frame = reader.read(); frame != null && put(frame); frame = reader.read()) {
                reader.skip(frame.unread);
            }
            seeOff();
        } catch (Frames.CutShort error) {
            note(error.getMessage());
        } catch (IOException error) {
            // The peer left without a word; it knows why.
        } catch (InterruptedException | RuntimeException | Error error) {
            note(error.toString());
        } finally {
            hangUp();
        }
    }

    private void run() {
        try {
            serve();
        } catch (Violation error) {
            note(error.getMessage());
        } catch (IOException error) {
            // The peer left without a word; it knows why.
        } catch (InterruptedException | RuntimeException | Error error) {
            note(error.toString());
        } finally {
            hangUp();
            close();
        }
    }

    private void serve() throws IOException, InterruptedException, Violation {
        control(Map.of("hello", hello()));
        for (Frames.Frame frame = take(); frame != null; frame = take()) {
            if (frame.control) {
                onControl(frame);
            } else {
                exchange(frame);
            }
        }
    }

    private Map<String, Object> hello() {
        Map<String, Object> hello = new LinkedHashMap<>();
        hello.put("protocol", PROTOCOL);
        hello.put("functions", shared.functions().announcement());
        return hello;
    }

    private void onControl(Frames.Frame frame) throws IOException, InterruptedException, Violation {
        if (frame.unread > 0) {
            throw new Violation(tooLarge(frame));
        }
        Object body;
        try {
            body = Json.parse(frame.take());
        } catch (JsonException error) {
            throw new Violation("a control frame is not JSON: " + error.getMessage());
        }
        if (!(body instanceof Map<?, ?> said)) {
            throw new Violation("a control frame is not a JSON object");
        }
        if (said.containsKey("ping")) {
            shared.slots().awaitServing(this::isGone);
            control(Collections.singletonMap("pong", said.get("ping")));
        } else if (said.containsKey("meta")) {
            if (!(said.get("meta") instanceof Map<?, ?> given)) {
                throw new Violation("the meta of a control frame is not a JSON object");
            }
            meta = given;
        }
        // Any other control frame is from a protocol to come, which says itself what may be passed over.
    }

    private void exchange(Frames.Frame frame) throws IOException, InterruptedException {
        Context current = context;
        byte[] answer;
        try {
            answer = answer(frame, current);
        } finally {
            current.end();
        }
        if (!current.canceled()) {
            writer.write(answer, false);
        }
        synchronized (this) {
            context = null;
            notifyAll();
        }
    }

    private byte[] answer(Frames.Frame frame, Context current) throws InterruptedException {
        if (frame.unread > 0) {
            return Replies.refusal("frame_too_large", tooLarge(frame));
        }
        Object payload;
        try {
            payload = Json.parse(frame.take());
        } catch (JsonException error) {
            return Replies.refusal("invalid_request", "the request is not JSON: " + error.getMessage());
        }
        Functions.Function function = shared.functions().select(current.function().orElse(null));
        if (function == null) {
            Optional<String> asked = current.function().map(name -> "there is no function `" + name + "` here");
            String served = "; this handler serves " + shared.functions().names();
            return Replies.refusal("unknown_function", asked.orElse("no function was named") + served);
        }
        if (!shared.slots().enter(current)) {
            return null;
        }
        try {
            current.begin();
            return Replies.ok(Calls.run(function, payload, current), shared.maxFrame());
        } catch (Throwable error) {
            // An Error too is this message's failure, not its neighbours'.
            return Replies.failed(error, shared.maxFrame());
        } finally {
            shared.slots().leave(current);
        }
    }

    private void report(byte[] frame) throws IOException {
        if (frame.length > shared.maxFrame()) {
            String message = "a report of " + frame.length + " bytes is more than the cap of " + shared.maxFrame();
            throw new IllegalArgumentException(message);
        }
        writer.write(frame, false);
    }

    private void control(Map<String, ?> body) throws IOException {
        writer.write(Json.bytes(body), true);
    }

    /** Hands a frame to the serving thread, when there is room; false where it takes no more. */
    private synchronized boolean put(Frames.Frame frame) throws InterruptedException {
        while (!gone && !inbox.isEmpty() && waiting + frame.size > READ_AHEAD) {
            wait();
        }
        waiting += frame.size;
        inbox.add(frame);
        notifyAll();
        return !gone;
    }

    /** The next frame to be served; null where there is none to come. A request has a context from here on. */
    private synchronized Frames.Frame take() throws InterruptedException {
        while (!gone && !closing && !readAll && inbox.isEmpty()) {
            wait();
        }
        Frames.Frame frame = gone || closing ? null : inbox.poll();
        if (frame != null) {
            waiting -= frame.size;
            if (!frame.control) {
                context = new Context(meta, shared.actor(), this::report);
                context.whenCanceled(this::hangUp);
                meta = Map.of();
            }
            notifyAll();
        }
        return frame;
    }

    /** After the peer's last frame: waits until all is answered, or nobody listens. */
    private void seeOff() throws IOException, InterruptedException {
        while (true) {
            Context current;
            synchronized (this) {
                readAll = true;
                notifyAll();
                if (gone || context == null && inbox.isEmpty()) {
                    return;
                }
                current = context;
            }
            if (current != null) {
                current.probe();
            }
            synchronized (this) {
                if (context == current && !gone) {
                    wait(PROBE_MILLIS);
                }
            }
        }
    }

    private synchronized boolean isGone() {
        return gone;
    }

    /** The peer has gone: what it asked for is canceled, and the server no longer waits for it. */
    private void hangUp() {
        Context current;
        synchronized (this) {
            if (gone) {
                return;
            }
            gone = true;
            current = context;
            notifyAll();
        }
        if (current != null) {
            current.cancel();
        }
        shared.slots().wake();
        onEnd.accept(this);
    }

    private void close() {
        try {
            channel.close();
        } catch (IOException error) {
            // It is of no use any more either way.
        }
    }

    private synchronized void note(String complaint) {
        if (!closing) {
            System.err.println("outrigger: a connection was given up: " + complaint);
        }
    }

    private String tooLarge(Frames.Frame frame) {
        return "a frame of " + frame.unread + " bytes is more than the cap of " + shared.maxFrame();
    }
}
