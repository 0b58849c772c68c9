package dev.outrigger;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.IntConsumer;
import sun.misc.Signal;
import sun.misc.SignalHandler;

/**
 * SIGTERM and SIGINT while a server runs.
 *
 * <p>A shutdown hook cannot tell the two apart, never hears a second one and always leaves with 143: {@code sun.misc.Signal},
 * of the JDK's module {@code jdk.unsupported}, can.
 */
final class Signals {
    private final Map<Signal, SignalHandler> before = new LinkedHashMap<>();

    /** Has both told to {@code listener}, by their numbers, on threads of the JVM's. */
    static Signals take(IntConsumer listener) {
        Signals taken = new Signals();
        for (String name : new String[] {"TERM", "INT"}) {
            Signal signal = new Signal(name);
            try {
                taken.before.put(signal, Signal.handle(signal, got -> listener.accept(got.getNumber())));
            } catch (IllegalArgumentException reserved) {
                // The JVM was started with -Xrs: signals are not for Java then.
            }
        }
        return taken;
    }

    /** Has them do again what they did before. */
    void giveBack() {
        before.forEach(Signal::handle);
    }
}
