package dev.outrigger;

/**
 * Exactly one output, whatever the value is.
 *
 * <p>A returned list is a fan-out, one output an item, and {@code null} is no output at all; {@code new One(List.of(1, 2))}
 * sends the list on as one value, {@code new One(null)} a null.
 *
 * @param value any value that has a JSON form
 */
public record One(Object value) {}
