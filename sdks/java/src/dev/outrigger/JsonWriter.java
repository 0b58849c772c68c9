package dev.outrigger;

import java.lang.reflect.Array;
import java.lang.reflect.RecordComponent;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** Writes one value as JSON in UTF-8, and knows at any time where in it it stands. */
final class JsonWriter {
    private static final char[] HEX = "0123456789abcdef".toCharArray();

    private byte[] bytes = new byte[128];
    private int size;
    /** The names and indexes that lead to the value at hand, and the containers that they stand in. */
    private final List<Object> path = new ArrayList<>();
    private final List<Object> around = new ArrayList<>();

    void document(Object value) {
        value(value);
    }

    byte[] bytes() {
        return Arrays.copyOf(bytes, size);
    }

    private void value(Object value) {
        if (value == null || value instanceof Boolean) {
            ascii(String.valueOf(value));
        } else if (value instanceof CharSequence || value instanceof Character) {
            string(value.toString());
        } else if (value instanceof Number number) {
            number(number);
        } else if (value instanceof Enum<?> constant) {
            string(constant.name());
        } else if (value instanceof Optional<?> maybe) {
            value(maybe.orElse(null));
        } else if (value instanceof Map<?, ?> || value instanceof Record) {
            enter(value, '{');
            if (value instanceof Map<?, ?> map) {
                members(map);
            } else {
                components(value);
            }
            leave('}');
        } else if (value instanceof Collection<?> || value.getClass().isArray() && !(value instanceof byte[])) {
            enter(value, '[');
            if (value instanceof Collection<?> collection) {
                items(collection);
            } else {
                elements(value);
            }
            leave(']');
        } else {
            throw refused("a value of type " + value.getClass().getName());
        }
    }

    private void number(Number number) {
        if (number instanceof Double || number instanceof Float) {
            if (!Double.isFinite(number.doubleValue())) {
                throw refused(number.toString());
            }
        } else if (!(number instanceof Long
                || number instanceof Integer
                || number instanceof Short
                || number instanceof Byte
                || number instanceof BigInteger
                || number instanceof BigDecimal
                || number instanceof AtomicInteger
                || number instanceof AtomicLong)) {
            throw refused("a value of type " + number.getClass().getName());
        }
        ascii(number.toString());
    }

    private void members(Map<?, ?> map) {
        boolean first = true;
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            Object key = entry.getKey();
            if (!(key instanceof CharSequence) && !(key instanceof Enum<?>)) {
                throw refused("a key of type " + (key == null ? "null" : key.getClass().getName()));
            }
            member(key instanceof Enum<?> constant ? constant.name() : key.toString(), entry.getValue(), first);
            first = false;
        }
    }

    private void components(Object record) {
        boolean first = true;
        for (RecordComponent component : record.getClass().getRecordComponents()) {
            Object value;
            try {
                component.getAccessor().setAccessible(true);
                value = component.getAccessor().invoke(record);
            } catch (ReflectiveOperationException | RuntimeException error) {
                throw refused("a record that cannot be read (" + error + ")");
            }
            member(component.getName(), value, first);
            first = false;
        }
    }

    private void member(String name, Object value, boolean first) {
        if (!first) {
            put(',');
        }
        string(name);
        put(':');
        at(name, value);
    }

    private void items(Collection<?> collection) {
        int index = 0;
        for (Object item : collection) {
            if (index > 0) {
                put(',');
            }
            at(index++, item);
        }
    }

    private void elements(Object array) {
        for (int index = 0; index < Array.getLength(array); index++) {
            if (index > 0) {
                put(',');
            }
            at(index, Array.get(array, index));
        }
    }

    private void at(Object step, Object value) {
        path.add(step);
        value(value);
        path.remove(path.size() - 1);
    }

    private void enter(Object container, char bracket) {
        if (around.size() == Json.MAX_DEPTH) {
            boolean loops = around.stream().anyMatch(outer -> outer == container);
            throw new JsonException(loops ? "it contains itself" : "it is nested too deeply");
        }
        around.add(container);
        put(bracket);
    }

    private void leave(char bracket) {
        around.remove(around.size() - 1);
        put(bracket);
    }

    private void string(String text) {
        put('"');
        for (int at = 0; at < text.length(); at++) {
            char c = text.charAt(at);
            if (c == '"' || c == '\\') {
                put('\\');
                put(c);
            } else if (c < ' ') {
                control(c);
            } else if (c < 0x80) {
                put(c);
            } else if (c < 0x800) {
                put(0xc0 | c >> 6);
                put(0x80 | c & 0x3f);
            } else if (!Character.isSurrogate(c)) {
                put(0xe0 | c >> 12);
                put(0x80 | c >> 6 & 0x3f);
                put(0x80 | c & 0x3f);
            } else if (Character.isHighSurrogate(c)
                    && at + 1 < text.length()
                    && Character.isLowSurrogate(text.charAt(at + 1))) {
                int point = Character.toCodePoint(c, text.charAt(++at));
                put(0xf0 | point >> 18);
                put(0x80 | point >> 12 & 0x3f);
                put(0x80 | point >> 6 & 0x3f);
                put(0x80 | point & 0x3f);
            } else {
                unicode(c);
            }
        }
        put('"');
    }

    private void control(char c) {
        int place = "\b\t\n\f\r".indexOf(c);
        if (place < 0) {
            unicode(c);
        } else {
            put('\\');
            put("btnfr".charAt(place));
        }
    }

    private void unicode(char c) {
        ascii("\\u");
        for (int shift = 12; shift >= 0; shift -= 4) {
            put(HEX[c >> shift & 0xf]);
        }
    }

    private void ascii(String text) {
        for (int at = 0; at < text.length(); at++) {
            put(text.charAt(at));
        }
    }

    private void put(int b) {
        if (size == bytes.length) {
            bytes = Arrays.copyOf(bytes, (int) Math.min((long) size * 2, Integer.MAX_VALUE - 8));
        }
        bytes[size++] = (byte) b;
    }

    private JsonException refused(String what) {
        StringBuilder place = new StringBuilder("$");
        for (Object step : path) {
            place.append(step instanceof Integer ? "[" + step + "]" : "." + step);
        }
        return new JsonException(what + " at " + place + " is not JSON");
    }
}
