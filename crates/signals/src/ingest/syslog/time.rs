//! Timestamps of syslog messages, in all the ways in which they are written.
//!
//! Pure. What a timestamp does not say (the year, the zone) is what makes it come out nearest before the message's receipt.

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::{Offset, TimeZone},
};

/// What is known of the time beside a message.
#[derive(Debug, Clone)]
pub struct Clock {
    /// When the message came.
    pub received: Timestamp,
    /// The zone of timestamps that have none.
    pub zone: TimeZone,
}

/// How far a sender's clock may be ahead before a day without a year is taken for one of the year before.
const AHEAD: i64 = 24 * 60 * 60;
/// Years that are looked back for the 29th of February.
const YEARS: i16 = 8;

impl Clock {
    /// A timestamp of RFC 3339 at the beginning of a text, also with a space for its `T`, a comma for its point, and without
    /// a zone; and what follows it.
    pub(super) fn iso<'a>(&self, text: &'a str) -> Option<(Timestamp, &'a str)> {
        let (year, rest) = digits(text, 4, 4)?;
        let (month, rest) = digits(rest.strip_prefix('-')?, 2, 2)?;
        let (day, rest) = digits(rest.strip_prefix('-')?, 2, 2)?;
        let (time, rest) = time(rest.strip_prefix(['T', 't', ' '])?)?;
        let date = Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
        let civil = DateTime::from_parts(date, time);
        if let Some(rest) = rest.strip_prefix(['Z', 'z']) {
            return Some((Offset::UTC.to_timestamp(civil).ok()?, rest));
        }
        match offset(rest) {
            Some((offset, rest)) => Some((offset.to_timestamp(civil).ok()?, rest)),
            None => Some((self.zone.to_timestamp(civil).ok()?, rest)),
        }
    }

    /// A timestamp of RFC 3164 at the beginning of a text, `Mmm dd hh:mm:ss`, also with a year before or within it, a
    /// fraction behind it, and `UTC`; and what follows it.
    pub(super) fn bsd<'a>(&self, text: &'a str) -> Option<(Timestamp, &'a str)> {
        let (year, text) = match year(text) {
            Some((year, rest)) => (Some(year), rest),
            None => (None, text),
        };
        let month = text.get(..3).and_then(month)?;
        let (day, rest) = digits(spaces(&text[3..])?, 1, 2)?;
        let rest = spaces(rest)?;
        let (year, rest) = match self::year(rest) {
            Some((year, rest)) => (Some(year), rest),
            None => (year, rest),
        };
        let (time, rest) = time(rest)?;
        let day = small(day)?;
        let utc = rest.strip_prefix(" UTC").or_else(|| rest.strip_prefix(" GMT"));
        let utc = utc.filter(|rest| rest.is_empty() || rest.starts_with([':', ' ']));
        let zone = if utc.is_some() { &TimeZone::UTC } else { &self.zone };
        let in_year = |year: i16| {
            let civil = DateTime::from_parts(Date::new(year, month, day).ok()?, time);
            zone.to_timestamp(civil).ok()
        };
        let time = if let Some(year) = year {
            in_year(year)?
        } else {
            let this = self.received.to_zoned(zone.clone()).year();
            let mut years = (0..=YEARS).map(|back| (this + 1).saturating_sub(back));
            let latest = self.received.as_second().saturating_add(AHEAD);
            years.find_map(|year| in_year(year).filter(|time| time.as_second() <= latest))?
        };
        Some((time, utc.unwrap_or(rest)))
    }
}

/// `hh:mm:ss`, with or without a fraction.
fn time(text: &str) -> Option<(Time, &str)> {
    let (hour, rest) = digits(text, 2, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
    let (second, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
    let fraction = rest
        .strip_prefix(['.', ','])
        .and_then(|rest| Some((digits(rest, 1, 9)?, rest)));
    let (nanos, rest) = match fraction {
        Some(((value, after), before)) => {
            let places = before.len() - after.len();
            (value * 10_u32.pow(u32::try_from(9 - places).ok()?), after)
        }
        None => (0, rest),
    };
    // A leap second is the one before it, as clocks have no other.
    let second = if second == 60 { 59 } else { second };
    let nanos = i32::try_from(nanos).ok()?;
    Some((
        Time::new(small(hour)?, small(minute)?, small(second)?, nanos).ok()?,
        rest,
    ))
}

/// `+hh:mm`, `+hhmm` or `+hh`.
fn offset(text: &str) -> Option<(Offset, &str)> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = digits(&text[1..], 2, 2)?;
    let (minutes, rest) = digits(rest.strip_prefix(':').unwrap_or(rest), 2, 2).unwrap_or((0, rest));
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    Some((Offset::from_seconds(sign * seconds).ok()?, rest))
}

/// A year and the space behind it.
fn year(text: &str) -> Option<(i16, &str)> {
    let (year, rest) = digits(text, 4, 4)?;
    Some((i16::try_from(year).ok()?, spaces(rest)?))
}

fn month(name: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    i8::try_from(at + 1).ok()
}

/// The number that so many digits are, and what follows; as many as there are.
pub(super) fn digits(text: &str, least: usize, most: usize) -> Option<(u32, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if count < least {
        return None;
    }
    Some((text[..count].parse().ok()?, &text[count..]))
}

/// What follows one or more spaces.
fn spaces(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(' ');
    (rest.len() < text.len()).then_some(rest)
}

fn small(number: u32) -> Option<i8> {
    i8::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clock(received: &str, zone: &str) -> Clock {
        Clock {
            received: received.parse().unwrap(),
            zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC),
        }
    }

    fn bsd(received: &str, text: &str) -> Option<(String, String)> {
        let clock = clock(received, "UTC");
        let (time, rest) = clock.bsd(text)?;
        Some((time.to_string(), rest.to_owned()))
    }

    fn at(time: &str, rest: &str) -> (String, String) {
        (time.to_owned(), rest.to_owned())
    }

    #[test]
    fn a_day_without_a_year_is_the_last_one_that_there_was() {
        let (june, january) = ("2024-06-15T12:00:00Z", "2025-01-01T00:00:05Z");
        assert_eq!(bsd(june, "Jun 15 11:59:59 a"), Some(at("2024-06-15T11:59:59Z", " a")));
        assert_eq!(
            bsd(june, "Jun 16 10:00:00"),
            Some(at("2024-06-16T10:00:00Z", "")),
            "a clock that is ahead"
        );
        assert_eq!(bsd(june, "Jun 17 00:00:00"), Some(at("2023-06-17T00:00:00Z", "")));
        assert_eq!(bsd(january, "Dec 31 23:59:59"), Some(at("2024-12-31T23:59:59Z", "")));
        assert_eq!(
            bsd("2024-12-31T23:59:59Z", "Jan  1 00:00:01"),
            Some(at("2025-01-01T00:00:01Z", ""))
        );
        assert_eq!(
            bsd("2027-03-01T00:00:00Z", "Feb 29 01:00:00"),
            Some(at("2024-02-29T01:00:00Z", ""))
        );
        assert_eq!(bsd(june, "Feb 30 01:00:00"), None);
    }

    #[test]
    fn years_fractions_and_utc_are_taken_where_they_stand() {
        let now = "2024-06-15T12:00:00Z";
        assert_eq!(
            bsd(now, "Mar  1 2022 18:48:50.483: %X"),
            Some(at("2022-03-01T18:48:50.483Z", ": %X"))
        );
        assert_eq!(
            bsd(now, "1990 Oct 22 10:52:01 TZ-6 x"),
            Some(at("1990-10-22T10:52:01Z", " TZ-6 x"))
        );
        assert_eq!(
            bsd(now, "MAR 01 18:48:50,5 UTC: x"),
            Some(at("2024-03-01T18:48:50.5Z", ": x"))
        );
        assert_eq!(
            bsd(now, "Mar 1 18:48:60 UTCx"),
            Some(at("2024-03-01T18:48:59Z", " UTCx"))
        );
        for wrong in [
            "Mar",
            "Mär 1 01:00:00",
            "Mar 1",
            "Mar 1 1:00:00",
            "Mar 1 25:00:00",
            "March 1 01:00:00",
        ] {
            assert_eq!(bsd(now, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_of_no_zone_is_the_clocks() {
        let berlin = clock("2024-06-15T12:00:00Z", "Europe/Berlin");
        let (time, _) = berlin.bsd("Jun 15 13:59:59").unwrap();
        assert_eq!(time.to_string(), "2024-06-15T11:59:59Z");
        let (time, _) = berlin.iso("2024-06-15 13:59:59,25 x").unwrap();
        assert_eq!(time.to_string(), "2024-06-15T11:59:59.25Z");
        let (time, rest) = berlin.iso("2003-08-24T05:14:15.000003-07:00 x").unwrap();
        assert_eq!((time.to_string().as_str(), rest), ("2003-08-24T12:14:15.000003Z", " x"));
        assert_eq!(
            berlin.iso("2003-08-24T05:14:15+0200").unwrap().0.to_string(),
            "2003-08-24T03:14:15Z"
        );
        assert!(berlin.iso("2003-13-24T05:14:15Z").is_none() && berlin.iso("2003-08-24").is_none());
    }

    proptest! {
        #[test]
        fn a_day_without_a_year_is_within_a_year_before_and_a_day_after(
            received in 0_i64..4_000_000_000, ago in -80_000_i64..31_000_000,
        ) {
            let received = Timestamp::from_second(received).unwrap();
            let sent = received - jiff::SignedDuration::from_secs(ago);
            let clock = Clock { received, zone: TimeZone::UTC };
            let text = sent.strftime("%b %e %H:%M:%S").to_string();
            prop_assert_eq!(clock.bsd(&text), Some((sent, "")));
        }

        #[test]
        fn any_text_is_a_time_or_none(text in "\\PC{0,40}") {
            let clock = Clock { received: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
            let _ = (clock.bsd(&text), clock.iso(&text));
        }
    }
}
