package dev.outrigger;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads one JSON text. A name that stands twice in an object has its last value. */
final class JsonReader {
    /** The time to read an integer grows with the square of its digits. */
    private static final int MAX_DIGITS = 4300;
    /** A double keeps as many significant digits, whatever they are. */
    private static final int SAFE_DIGITS = 15;

    private final String text;
    private int at;
    private int depth;

    JsonReader(String text) {
        this.text = text;
    }

    Object document() {
        if (text.isEmpty()) {
            throw new JsonException("it is empty");
        }
        Object value = value();
        space();
        if (at < text.length()) {
            throw wrong("there is more after the value");
        }
        return value;
    }

    private Object value() {
        space();
        char first = peek();
        switch (first) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return string();
            case 't':
                return word("true", true);
            case 'f':
                return word("false", false);
            case 'n':
                return word("null", null);
            default:
                if (first == '-' || isDigit(first)) {
                    return number();
                }
                for (String name : List.of("NaN", "Infinity")) {
                    if (text.startsWith(name, at)) {
                        throw wrong(name + " is not JSON");
                    }
                }
                throw wrong(at < text.length() ? "a value is expected" : "it ends too early");
        }
    }

    private Map<String, Object> object() {
        deeper();
        Map<String, Object> members = new LinkedHashMap<>();
        space();
        if (!next('}')) {
            do {
                space();
                if (peek() != '"') {
                    throw wrong("a name in quotes is expected");
                }
                String name = string();
                space();
                expect(':');
                members.put(name, value());
                space();
            } while (next(','));
            expect('}');
        }
        depth--;
        return members;
    }

    private List<Object> array() {
        deeper();
        List<Object> items = new ArrayList<>();
        space();
        if (!next(']')) {
            do {
                items.add(value());
                space();
            } while (next(','));
            expect(']');
        }
        depth--;
        return items;
    }

    private String string() {
        int start = ++at;
        StringBuilder built = null;
        while (true) {
            if (at >= text.length()) {
                throw wrong("a string does not end");
            }
            char c = text.charAt(at);
            if (c == '"') {
                String rest = text.substring(start, at++);
                return built == null ? rest : built.append(rest).toString();
            }
            if (c < ' ') {
                throw wrong("a control character stands unescaped in a string");
            }
            at++;
            if (c == '\\') {
                built = built == null ? new StringBuilder() : built;
                built.append(text, start, at - 1).append(escaped());
                start = at;
            }
        }
    }

    private char escaped() {
        char c = peek();
        at++;
        switch (c) {
            case '"':
            case '\\':
            case '/':
                return c;
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                int unit = 0;
                for (int end = at + 4; at < end; at++) {
                    char digit = peek();
                    int worth = digit < 128 ? Character.digit(digit, 16) : -1;
                    if (worth < 0) {
                        throw wrong("an escape needs four hexadecimal digits");
                    }
                    unit = unit * 16 + worth;
                }
                return (char) unit;
            default:
                at--;
                throw wrong("there is no such escape");
        }
    }

    private Number number() {
        int start = at;
        next('-');
        int whole = at;
        digits();
        if (text.charAt(whole) == '0' && at > whole + 1) {
            at = whole;
            throw wrong("a number begins with a zero");
        }
        int end = at;
        if (next('.')) {
            digits();
        }
        if (next('e') || next('E')) {
            if (!next('+')) {
                next('-');
            }
            digits();
        }
        String spelled = text.substring(start, at);
        return at == end ? integer(spelled) : decimal(spelled);
    }

    private Number integer(String spelled) {
        if (spelled.length() <= 18) {
            return Long.parseLong(spelled);
        }
        if (spelled.length() > MAX_DIGITS) {
            throw wrong("an integer has more than " + MAX_DIGITS + " digits");
        }
        BigInteger value = new BigInteger(spelled);
        return value.bitLength() < Long.SIZE ? (Number) value.longValue() : (Number) value;
    }

    private Number decimal(String spelled) {
        double near = Double.parseDouble(spelled);
        if (spelled.length() <= SAFE_DIGITS && spelled.indexOf('e') < 0 && spelled.indexOf('E') < 0) {
            return near;
        }
        if (spelled.length() > MAX_DIGITS) {
            throw wrong("a number has more than " + MAX_DIGITS + " digits");
        }
        try {
            BigDecimal exact = new BigDecimal(spelled);
            if (Double.isFinite(near) && BigDecimal.valueOf(near).compareTo(exact) == 0) {
                return near;
            }
            return exact;
        } catch (ArithmeticException | NumberFormatException error) {
            throw wrong("a number has too large an exponent");
        }
    }

    private void digits() {
        int start = at;
        while (isDigit(peek())) {
            at++;
        }
        if (at == start) {
            throw wrong("a digit is expected");
        }
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw wrong("a value is expected");
        }
        at += word.length();
        return value;
    }

    private void deeper() {
        at++;
        if (++depth > Json.MAX_DEPTH) {
            throw new JsonException("it is nested too deeply");
        }
    }

    private void space() {
        while (at < text.length()) {
            char c = text.charAt(at);
            if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
                return;
            }
            at++;
        }
    }

    /** The character here; at the end one that JSON has nowhere. */
    private char peek() {
        return at < text.length() ? text.charAt(at) : '\uffff';
    }

    private boolean next(char wanted) {
        boolean there = peek() == wanted && at < text.length();
        at += there ? 1 : 0;
        return there;
    }

    private void expect(char wanted) {
        if (!next(wanted)) {
            throw wrong(at < text.length() ? "`" + wanted + "` is expected" : "it ends too early");
        }
    }

    private JsonException wrong(String complaint) {
        return new JsonException(complaint + ", at character " + at);
    }

    private static boolean isDigit(char c) {
        return c >= '0' && c <= '9';
    }
}
