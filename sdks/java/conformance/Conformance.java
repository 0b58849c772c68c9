import dev.outrigger.Canceled;
import dev.outrigger.Context;
import dev.outrigger.Fail;
import dev.outrigger.One;
import dev.outrigger.Outrigger;
import dev.outrigger.Parts;
import dev.outrigger.Retry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.LongStream;

/** What a runtime serves to show that it conforms: every kind of answer that there is. */
final class Conformance {
    private static final AtomicInteger CANCELLATIONS = new AtomicInteger();

    public static void main(String[] arguments) {
        new Outrigger()
                .function("echo", payload -> payload)
                .function("nothing", payload -> null)
                .function("fan_out", (Map<String, Object> p) -> LongStream.range(0, number(p, "n")).toArray())
                .function("one", payload -> new One(payload))
                .function("fail", Conformance::fail)
                .function("retry", Conformance::retry)
                .function("crash", Conformance::crash)
                .function("steps", Conformance::steps)
                .streaming("stream", Conformance::stream)
                .function("context", Conformance::context)
                .function("slow", Conformance::slow)
                .function("wait", Conformance::await)
                .function("cancellations", payload -> CANCELLATIONS)
                .function("bad_result", payload -> Map.of("nan", List.of(1, Double.NaN)))
                .run();
    }

    private static Object fail(Map<String, Object> p) {
        throw new Fail((String) p.get("code"), (String) p.get("message")).details(p.get("details"));
    }

    private static Object retry(Map<String, Object> p) {
        Retry retry = new Retry((String) p.get("message"));
        if (p.get("after") instanceof Number seconds) {
            retry.after(Duration.ofNanos((long) (seconds.doubleValue() * 1e9)));
        }
        throw retry;
    }

    private static Object crash(Object payload) {
        throw new IllegalStateException("boom");
    }

    private static Object steps(Object payload, Context context) {
        context.progress(50, "half");
        context.partial(Map.of("n", 1));
        context.heartbeat();
        return Map.of("done", true);
    }

    private static Object stream(Map<String, Object> p) {
        long count = number(p, "n");
        return Parts.of(LongStream.range(0, count).mapToObj(n -> Map.of("n", n))).then(() -> Map.of("count", count));
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

    private static Object slow(Map<String, Object> p) throws InterruptedException {
        Thread.sleep(number(p, "ms"));
        return Map.of("slept", number(p, "ms"));
    }

    private static Object await(Object payload, Context context) {
        try {
            while (true) {
                context.heartbeat();
                Thread.sleep(10);
            }
        } catch (Canceled | InterruptedException canceled) {
            CANCELLATIONS.incrementAndGet();
            return null;
        }
    }

    private static long number(Map<String, Object> p, String name) {
        return ((Number) p.get(name)).longValue();
    }

    private Conformance() {}
}
