package dev.outrigger;

import java.util.Iterator;
import java.util.stream.Stream;

/** One call of a function, of whatever kind it is; told apart by what it returns. */
final class Calls {
    private Calls() {}

    /** The function's result; every item of a stream is reported as a partial one. */
    @SuppressWarnings("try") // The source is there to be closed, nothing else.
    static Object run(Functions.Function function, Object payload, Context context) throws Exception {
        Object value = function.handler().process(payload, context);
        if (value instanceof Stream<?> items) {
            value = Parts.of(items);
        } else if (value instanceof Iterator<?> items) {
            value = Parts.of(items);
        }
        if (!(value instanceof Parts parts)) {
            return value;
        }
        try (AutoCloseable source = parts.source) {
            while (parts.items.hasNext()) {
                context.partial(parts.items.next());
            }
            return parts.result.call();
        }
    }
}
