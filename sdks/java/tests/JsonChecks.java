package dev.outrigger;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;

/** Reading and writing of JSON, checked without a socket; leaves with 1 where something is not as it must be. */
final class JsonChecks {
    private static int failures;

    public static void main(String[] arguments) {
        values();
        numbers();
        sameAgain();
        refused();
        written();
        unwritable();
        random();
        System.out.println(failures == 0 ? "json: all well" : "json: " + failures + " failures");
        System.exit(failures == 0 ? 0 : 1);
    }

    private static void values() {
        reads("null", null);
        reads(" \t\r\n true ", true);
        reads("false", false);
        reads("\"\"", "");
        reads("\"\\u0041\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "A\"\\/\b\f\n\r\t");
        reads("\"\\ud83d\\ude00\"", "\ud83d\ude00");
        reads("\"\\uD800\"", "\ud800");
        reads("\"\u2028\u007f\uffff\"", "\u2028\u007f\uffff");
        reads("[]", List.of());
        reads("[ 1 , [ ] , { } ]", List.of(1L, List.of(), Map.of()));
        reads("{\"a\":1,\"a\":2}", Map.of("a", 2L));
        reads("{\"\":null}", new HashMap<>(Collections.singletonMap("", null)));
        check("names stay in order", "[z, a, m]", ((Map<?, ?>) Json.parse("{\"z\":1,\"a\":2,\"m\":3}")).keySet().toString());
    }

    private static void numbers() {
        reads("0", 0L);
        reads("-0", 0L);
        reads("9223372036854775807", Long.MAX_VALUE);
        reads("-9223372036854775808", Long.MIN_VALUE);
        reads("9223372036854775808", BigInteger.ONE.shiftLeft(63));
        reads("1.5", 1.5);
        reads("-0.0", -0.0);
        reads("1e3", 1000.0);
        reads("1E-2", 0.01);
        reads("0.1", 0.1);
        reads("123456789.12345679", 123456789.12345679);
        reads("1.00000000000000000001", new BigDecimal("1.00000000000000000001"));
        reads("1e400", new BigDecimal("1e400"));
        reads("4.9e-324", Double.MIN_VALUE);
        reads("1e-400", new BigDecimal("1e-400"));
    }

    private static void sameAgain() {
        for (String text : new String[] {
            "null", "[1,-2,0.5,true,false,null]", "{\"a\":{\"b\":[{}]}}", "\"\\ud800x\\udc00\"", "\"\u00e9\u20ac\ud83d\ude00\"",
            "123456789012345678901234567890", "3.141592653589793238462643383279", "\"\\u0001\\u001f\"", "-1.5E-10"
        }) {
            check(text, text, Json.write(Json.parse(text)));
        }
        String deep = "[".repeat(1000) + "]".repeat(1000);
        check("1000 levels", deep, Json.write(Json.parse(deep)));
    }

    private static void refused() {
        for (String text : new String[] {
            "", " ", "nul", "nulls", "True", "NaN", "-NaN", "Infinity", "-Infinity", "+1", "01", "-01", "-", "1.", ".5", "1.e1",
            "1e", "1e+", "0x10", "1 2", "[1] 2", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", "}", "{\"a\"", "{\"a\":",
            "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{'a':1}", "{1:2}", "{\"a\" 1}", "\"", "\"a", "\"\\", "\"\\x\"",
            "\"\\u12\"", "\"\\u12g4\"", "\"\\u\uff11\uff11\uff11\uff11\"", "\"\n\"", "\"\u0000\"", "'a'", "/* */1", "1//", "\ufeff1",
            "\u00a01", "\uffff", "1e99999999999", "\u0661", "[".repeat(1001) + "]".repeat(1001), "[".repeat(100_000), "9".repeat(5000)
        }) {
            try {
                Object value = Json.parse(text);
                check("refused: " + text, "an exception", value);
            } catch (JsonException error) {
                check("a message", false, error.getMessage().isBlank());
            }
        }
        for (String bytes : new String[] {"\u00ff", "\u00c0\u0080", "\u00ed\u00a0\u0080", "\u00e2\u0082", "\u00f5\u0080\u0080\u0080"}) {
            try {
                Json.parse(("\"" + bytes + "\"").getBytes(StandardCharsets.ISO_8859_1));
                check("refused bytes", "an exception", bytes);
            } catch (JsonException error) {
                check("its place", "the frame is not UTF-8 at byte 1", error.getMessage());
            }
        }
    }

    private static void written() {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("byte", (byte) 1);
        all.put("float", 0.5f);
        all.put("char", 'c');
        all.put("builder", new StringBuilder("s"));
        all.put("none", Optional.empty());
        all.put("some", Optional.of(List.of(2)));
        all.put("ints", new int[] {1, 2});
        all.put("big", new BigDecimal("1E+400"));
        check("kinds", "{\"byte\":1,\"float\":0.5,\"char\":\"c\",\"builder\":\"s\",\"none\":null,\"some\":[2],\"ints\":[1,2],"
                + "\"big\":1E+400}", Json.write(all));
        Json.parse(Json.write(Arrays.asList(1e300, 1e-300, Double.MIN_VALUE, Double.MAX_VALUE, 1e21f)));
        check("whole", "[50,75.5,-1,1.0E18]", Json.write(List.of(Json.plain(50), Json.plain(75.5), Json.plain(-1.0), Json.plain(1e18))));
    }

    private static void unwritable() {
        List<Object> loop = new ArrayList<>();
        loop.add(loop);
        List<Object> deep = new ArrayList<>();
        for (int level = 0; level < 1000; level++) {
            deep = new ArrayList<>(List.of(deep));
        }
        complains(loop, "it contains itself");
        complains(deep, "it is nested too deeply");
        complains(Map.of("a", List.of(1, Double.NaN)), "NaN at $.a[1] is not JSON");
        complains(Float.NEGATIVE_INFINITY, "-Infinity at $ is not JSON");
        complains(new byte[0], "a value of type [B at $ is not JSON");
        complains(List.of(Path.of("a")), "a value of type sun.nio.fs.UnixPath at $[0] is not JSON");
        complains(new HashMap<>(Collections.singletonMap(null, 1)), "a key of type null at $ is not JSON");
        complains(Map.of(1, 1), "a key of type java.lang.Integer at $ is not JSON");
    }

    /** Any text of any UTF-16 units comes back as it was. */
    private static void random() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int round = 0; round < 20_000; round++) {
            char[] units = new char[random.nextInt(8)];
            for (int at = 0; at < units.length; at++) {
                units[at] = (char) (random.nextBoolean() ? random.nextInt(0x10000) : 0xd700 + random.nextInt(0xa00));
            }
            String text = new String(units);
            check("seed " + seed, text, Json.parse(Json.bytes(text)));
            double number = Double.longBitsToDouble(random.nextLong());
            if (Double.isFinite(number)) {
                check("seed " + seed, number, ((Number) Json.parse(Json.bytes(number))).doubleValue());
            }
        }
    }

    private static void reads(String text, Object expected) {
        check(text, expected, Json.parse(text));
    }

    private static void complains(Object value, String expected) {
        try {
            check("written", expected, Json.write(value));
        } catch (JsonException error) {
            check("complaint", expected, error.getMessage());
        }
    }

    private static void check(String what, Object expected, Object found) {
        if (!Objects.equals(expected, found)) {
            failures++;
            System.out.println(what + ": expected " + expected + ", found " + found);
        }
    }

    private JsonChecks() {}
}
