package dev.outrigger;

import java.util.HashSet;
import java.util.Set;
import java.util.function.BooleanSupplier;

/**
 * How many calls run at once, and whether there is room for one more.
 *
 * <p>A call whose sidecar has gone keeps its place until it really ends: a method cannot be stopped from outside. While such
 * calls fill every place, a ping waits: the process is alive and yet cannot serve.
 */
final class Slots {
    private final int limit;
    private final Set<Context> running = new HashSet<>();

    Slots(int limit) {
        this.limit = limit;
    }

    /** Waits for a place and takes it; false when the call was canceled meanwhile. */
    synchronized boolean enter(Context context) throws InterruptedException {
        while (!context.canceled() && running.size() >= limit) {
            wait();
        }
        return !context.canceled() && running.add(context);
    }

    /** Gives the place of a call that has ended back. */
    synchronized void leave(Context context) {
        running.remove(context);
        notifyAll();
    }

    /** Returns once a place is free or held by a call that somebody waits for, or when {@code givenUp}. */
    synchronized void awaitServing(BooleanSupplier givenUp) throws InterruptedException {
        while (!givenUp.getAsBoolean() && running.stream().filter(Context::canceled).count() >= limit) {
            wait();
        }
    }

    /** Makes everyone who waits look again. */
    synchronized void wake() {
        notifyAll();
    }
}
