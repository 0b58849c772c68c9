package dev.outrigger;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Times as RFC 3339 spells them, leap seconds included. */
final class Times {
    private static final Pattern RFC3339 = Pattern.compile(
            "(\\d{4})-(\\d\\d)-(\\d\\d)[Tt ](\\d\\d):(\\d\\d):(\\d\\d)(?:\\.(\\d+))?(?:[Zz]|([+-])(\\d\\d):(\\d\\d))");

    private Times() {}

    /** The time; null for anything that is none. */
    static Instant parse(Object value) {
        Matcher match = value instanceof String text ? RFC3339.matcher(text) : null;
        if (match == null || !match.matches()) {
            return null;
        }
        boolean leap = match.group(6).equals("60");
        String fraction = match.group(7) == null ? "" : match.group(7);
        String nanos = (fraction + "000000000").substring(0, 9);
        int sign = "-".equals(match.group(8)) ? -1 : 1;
        try {
            ZoneOffset offset = match.group(8) == null
                    ? ZoneOffset.UTC
                    : ZoneOffset.ofHoursMinutes(sign * number(match, 9), sign * number(match, 10));
            Instant time = OffsetDateTime.of(
                            number(match, 1),
                            number(match, 2),
                            number(match, 3),
                            number(match, 4),
                            number(match, 5),
                            leap ? 59 : number(match, 6),
                            Integer.parseInt(nanos),
                            offset)
                    .toInstant();
            return leap ? time.plusSeconds(1) : time;
        } catch (DateTimeException error) {
            return null;
        }
    }

    private static int number(Matcher match, int group) {
        return Integer.parseInt(match.group(group));
    }
}
