package dev.outrigger;

/**
 * What is called for every message.
 *
 * <p>The payload is what the JSON has become: {@code Map<String, Object>}, {@code List<Object>}, {@code String}, {@code
 * Boolean}, {@code null}, or a {@code Number}: {@code Long}, {@code Double}, and {@code BigInteger} or {@code BigDecimal}
 * where those would lose digits. {@code P} is the one that the handler expects; another is an error of that message.
 *
 * <p>A list or an array that is returned is a fan-out, {@code null} an empty result, {@link One} exactly one output; an
 * {@code Iterator}, a {@code Stream} or {@link Parts} is streamed. With a concurrency above 1 several calls run at once.
 *
 * @param <P> what the payload is expected to be
 */
@FunctionalInterface
public interface Handler<P> {
    /**
     * Does the work.
     *
     * @param payload the message's payload
     * @return the result
     * @throws Exception whatever went wrong; {@link Fail} and {@link Retry} say what is to become of the message
     */
    Object process(P payload) throws Exception;

    /**
     * A handler that wants to know of its call, or to report while it works.
     *
     * @param <P> what the payload is expected to be
     */
    @FunctionalInterface
    interface WithContext<P> {
        /**
         * Does the work.
         *
         * @param payload the message's payload
         * @param context the call
         * @return the result
         * @throws Exception whatever went wrong; {@link Fail} and {@link Retry} say what is to become of the message
         */
        Object process(P payload, Context context) throws Exception;
    }
}
