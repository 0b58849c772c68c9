import dev.outrigger.Context;
import dev.outrigger.Fail;
import dev.outrigger.Outrigger;
import dev.outrigger.Parts;
import dev.outrigger.Retry;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/** The handler of the suites: functions that stand still, look around and misbehave. */
final class Probe {
    private static final CyclicBarrier TOGETHER = new CyclicBarrier(4);
    private static final CyclicBarrier PAIR = new CyclicBarrier(2);
    private static final AtomicInteger NOW = new AtomicInteger();
    private static final AtomicInteger MOST = new AtomicInteger();
    private static final List<Object> SEEN = new ArrayList<>();
    private static Context kept;

    private static final class Odd extends RuntimeException {
        private static final long serialVersionUID = 1;

        @Override
        public String getMessage() {
            throw new IllegalStateException("no text");
        }
    }

    public static void main(String[] arguments) {
        Outrigger all = new Outrigger();
        String only = System.getenv("PROBE_ONLY");
        add(all, only, "echo", (payload, context) -> payload);
        add(all, only, "gate", Probe::gate);
        add(all, only, "abandoned", Probe::abandoned);
        add(all, only, "together", (payload, context) -> together());
        add(all, only, "most", (payload, context) -> most());
        add(all, only, "seen", (payload, context) -> seen(payload));
        add(all, only, "stdin", (payload, context) -> new String(System.in.readAllBytes(), StandardCharsets.UTF_8));
        add(all, only, "spawn", (payload, context) -> spawn());
        add(all, only, "late", (payload, context) -> late(context));
        add(all, only, "print", (payload, context) -> print((String) payload));
        add(all, only, "error", (payload, context) -> error((String) payload));
        add(all, only, "repeat", (payload, context) -> "x".repeat(((Long) payload).intValue()));
        add(all, only, "pieces", (payload, context) -> Stream.generate(() -> "x".repeat(300_000)).limit(20));
        add(all, only, "endless", Probe::endless);
        add(all, only, "progress", Probe::progress);
        add(all, only, "context", Probe::context);
        add(all, only, "make", (payload, context) -> Files.createFile(Path.of((String) payload)).toString());
        add(all, only, "sleep", Probe::sleep);
        add(all, only, "interrupted", Probe::interrupted);
        add(all, only, "kinds", (payload, context) -> kinds((String) payload));
        String cap = System.getenv("PROBE_MAX_FRAME");
        if (cap != null) {
            all.maxFrame(Integer.parseInt(cap));
        }
        all.run();
        System.out.println("after");
    }

    /** A call as the table below has them. */
    private interface Call {
        Object make(Object payload, Context context) throws Exception;
    }

    private static void add(Outrigger all, String only, String name, Call call) {
        if (only == null || only.equals(name)) {
            all.function(name, (payload, context) -> call.make(payload, context));
        }
    }

    private static Object gate(Object payload, Context context) throws IOException {
        context.progress("begun");
        pass(payload);
        return "opened";
    }

    private static Object abandoned(Object payload, Context context) throws IOException {
        context.progress("begun");
        while (!context.canceled()) {
            Thread.onSpinWait();
        }
        System.out.println("canceled");
        Thread.interrupted();
        pass(payload);
        System.out.println("over");
        return null;
    }

    private static void pass(Object gate) throws IOException {
        try (FileInputStream file = new FileInputStream((String) gate)) {
            file.read();
        }
    }

    private static Object together() throws Exception {
        TOGETHER.await(50, TimeUnit.SECONDS);
        return "together";
    }

    private static Object most() throws Exception {
        MOST.accumulateAndGet(NOW.incrementAndGet(), Math::max);
        PAIR.await(50, TimeUnit.SECONDS);
        NOW.decrementAndGet();
        return MOST;
    }

    private static Object seen(Object payload) {
        synchronized (SEEN) {
            SEEN.add(payload);
            return List.copyOf(SEEN);
        }
    }

    private static Object spawn() throws IOException {
        return new ProcessBuilder("sleep", "1000").inheritIO().start().pid();
    }

    private static Object late(Context context) {
        if (kept == null) {
            kept = context;
            return null;
        }
        try {
            kept.progress(1);
            return "it was sent";
        } catch (IllegalStateException error) {
            return error.getMessage();
        }
    }

    private static Object print(String line) {
        System.out.println(line);
        return null;
    }

    private static Object error(String kind) throws Exception {
        switch (kind) {
            case "bare":
                throw new IOException();
            case "odd":
                throw new Odd();
            case "long":
                throw new IOException("x".repeat(100_000));
            case "again":
                throw new Retry("not yet").code("slow").details(Map.of("n", 1));
            case "details":
                throw new Fail("big", "it is large").details("y".repeat(5000));
            case "odd details":
                throw new Fail("odd", "of no matter").details(new Object());
            case "cause":
                throw new IllegalStateException("outer", new IOException("inner"));
            case "deep":
                return error(kind);
            default:
                throw new AssertionError(kind);
        }
    }

    private static Object endless(Object payload, Context context) {
        context.progress("begun");
        return Stream.generate(() -> "x".repeat(1000)).onClose(() -> System.out.println("closed"));
    }

    private static Object progress(Object payload, Context context) {
        context.progress(25);
        context.progress("half");
        context.progress(75.5, "more");
        return null;
    }

    private static Object context(Object payload, Context context) {
        Map<String, Object> known = new LinkedHashMap<>();
        known.put("id", context.id());
        known.put("actor", context.actor());
        known.put("function", context.function());
        known.put("attempt", context.attempt());
        known.put("headers", context.headers());
        known.put("deadline", context.deadline().map(Object::toString));
        return known;
    }

    private static Object sleep(Object payload, Context context) {
        context.progress("begun");
        try {
            Thread.sleep(1_000_000);
        } catch (InterruptedException interrupt) {
            System.out.println("interrupted, canceled " + context.canceled());
        }
        return null;
    }

    private static Object interrupted(Object payload, Context context) {
        Thread.currentThread().interrupt();
        context.heartbeat();
        return Thread.currentThread().isInterrupted();
    }

    /** A record. */
    record Point(int x, List<Double> ys, Object none) {}

    private enum Colour {
        RED
    }

    private static Object kinds(String kind) {
        List<Object> loop = new ArrayList<>();
        loop.add(Map.of("again", loop));
        switch (kind) {
            case "record":
                return new Point(1, List.of(0.5, 1e10), null);
            case "array":
                return new int[] {1, 2};
            case "arrays":
                return new Object[] {new double[] {0.5}, Arrays.asList(1, null), new String[0]};
            case "enum":
                return Map.of(Colour.RED, Colour.RED);
            case "iterator":
                Iterator<String> items = List.of("a", "b").iterator();
                return Parts.of(items).then(() -> "end");
            case "loop":
                return loop;
            case "bytes":
                return Map.of("raw", new byte[1]);
            case "key":
                return List.of(Map.of(3, 4));
            case "object":
                return List.of(new Object());
            default:
                throw new AssertionError(kind);
        }
    }

    private Probe() {}
}
