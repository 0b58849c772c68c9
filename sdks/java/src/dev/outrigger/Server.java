package dev.outrigger;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SocketChannel;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Listens, and stops in order.
 *
 * <p>The first SIGTERM stops accepting and serves on until the peers have closed; SIGINT, or an interrupt of the thread that
 * serves, ends idle connections and finishes what runs; any signal after that ends at once.
 */
final class Server {
    private static final int SIGINT = 2;

    private final Connection.Shared shared;
    private final int concurrency;
    private final Set<Connection> connections = new HashSet<>();
    private SocketFile file;
    private int stopping;

    Server(Functions functions, int concurrency, int maxFrame, String actor) {
        this.concurrency = concurrency;
        this.shared = new Connection.Shared(functions, new Slots(concurrency), actor, maxFrame);
    }

    /** Serves until a signal asks for the end and the last connection has gone. */
    void run(String path) throws StartException {
        // Whoever finds the socket may already send a signal.
        Signals signals = Signals.take(this::onSignal);
        try {
            SocketFile made = SocketFile.make(path);
            synchronized (this) {
                file = made;
            }
            note("serving " + shared.functions().names() + " on " + path + ", " + concurrency + " at once");
            while (!isStopping()) {
                accept(made);
            }
            drain();
        } finally {
            stopListening();
            signals.giveBack();
        }
    }

    private void accept(SocketFile listening) {
        SocketChannel channel;
        try {
            channel = listening.channel.accept();
        } catch (ClosedByInterruptException error) {
            stop(SIGINT);
            return;
        } catch (ClosedChannelException error) {
            stop(0);
            return;
        } catch (IOException error) {
            waitForRoom(error);
            return;
        }
        Connection connection = new Connection(channel, shared, this::ended);
        synchronized (this) {
            connections.add(connection);
        }
        try {
            connection.start();
        } catch (OutOfMemoryError error) {
            // No thread for it; its peer is told so by the close, and finds another.
            ended(connection);
            connection.closeWhenIdle();
        }
    }

    /** This process may open no more files, or the peer had gone before it was taken in. */
    private synchronized void waitForRoom(IOException error) {
        note("cannot accept a connection for now: " + error.getMessage());
        try {
            wait(1000);
        } catch (InterruptedException interrupt) {
            stop(SIGINT);
        }
    }

    private synchronized void drain() {
        // The interrupt that may have brought us here is not meant for what follows.
        Thread.interrupted();
        while (!connections.isEmpty()) {
            try {
                wait();
            } catch (InterruptedException interrupt) {
                stopAll();
            }
        }
    }

    private synchronized void ended(Connection connection) {
        connections.remove(connection);
        notifyAll();
    }

    private synchronized void onSignal(int number) {
        if (stopping != 0) {
            stopListening();
            Runtime.getRuntime().halt(128 + number);
        }
        stop(number);
    }

    private synchronized void stop(int number) {
        if (stopping != 0) {
            return;
        }
        stopping = number == 0 ? SIGINT : number;
        stopListening();
        if (!connections.isEmpty()) {
            note("stopping when its " + connections.size() + " connections are closed");
        }
        if (stopping == SIGINT) {
            stopAll();
        }
        notifyAll();
    }

    private void stopAll() {
        List.copyOf(connections).forEach(Connection::closeWhenIdle);
    }

    private synchronized boolean isStopping() {
        return stopping != 0;
    }

    private synchronized void stopListening() {
        if (file != null) {
            file.close();
        }
    }

    private static void note(String text) {
        System.err.println("outrigger: " + text);
    }
}
