package dev.outrigger;

import java.util.Iterator;
import java.util.concurrent.Callable;
import java.util.stream.Stream;

/**
 * An answer that comes in pieces, and a result at its end.
 *
 * <p>Each item is streamed to whoever follows the job, the next is asked for when it has been written. A stream is closed
 * at the end, and before that where nobody listens any more.
 */
public final class Parts {
    final Iterator<?> items;
    final AutoCloseable source;
    final Callable<?> result;

    private Parts(Iterator<?> items, AutoCloseable source, Callable<?> result) {
        this.items = items;
        this.source = source;
        this.result = result;
    }

    /**
     * The items of a stream, without a result.
     *
     * @param items what is to be streamed
     * @return the parts
     */
    public static Parts of(Stream<?> items) {
        return new Parts(items.iterator(), items, () -> null);
    }

    /**
     * The items of an iterator, without a result; one that is {@code AutoCloseable} is closed.
     *
     * @param items what is to be streamed
     * @return the parts
     */
    public static Parts of(Iterator<?> items) {
        return new Parts(items, items instanceof AutoCloseable source ? source : () -> {}, () -> null);
    }

    /**
     * The same with a result, which is asked for after the last item.
     *
     * @param result gives the result
     * @return the parts
     */
    public Parts then(Callable<?> result) {
        return new Parts(items, source, result);
    }
}
