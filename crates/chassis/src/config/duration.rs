//! A length of time as people write it: `250ms`, `30s`, `5m0s`, `7d`, or a bare number of seconds.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use super::decimal::Decimal;

/// A length of time in a configuration, from 0 to 584 years, exact to the nanosecond.
///
/// ```
/// use chassis::config::Duration;
///
/// let timeout: Duration = "5m0s".parse()?;
/// assert_eq!(timeout.get(), std::time::Duration::from_secs(300));
/// assert_eq!(timeout.to_string(), "5m");
/// # Ok::<(), chassis::config::DurationError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(time::Duration);

/// Why a text is not a [`Duration`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// Nothing but space.
    #[error("a duration is missing")]
    Empty,
    /// Below zero.
    #[error("a duration cannot be negative: {text}")]
    Negative {
        /// The text that was read.
        text: String,
    },
    /// No number where one has to stand.
    #[error("`{text}` is not a duration: expected a number at `{rest}`")]
    Number {
        /// The text that was read.
        text: String,
        /// What stands there instead.
        rest: String,
    },
    /// A number with a unit that nobody knows.
    #[error("`{text}` is not a duration: `{unit}` is no unit; use ns, us, ms, s, m, h or d")]
    Unit {
        /// The text that was read.
        text: String,
        /// What stands in the unit's place.
        unit: String,
    },
    /// A number without a unit among numbers that have one.
    #[error("`{text}` is not a duration: every number needs a unit when one has it")]
    NoUnit {
        /// The text that was read.
        text: String,
    },
    /// Finer than a nanosecond.
    #[error("`{text}` is finer than a nanosecond")]
    TooFine {
        /// The text that was read.
        text: String,
    },
    /// Beyond 584 years.
    #[error("`{text}` is longer than 584 years")]
    TooLong {
        /// The text that was read.
        text: String,
    },
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(time::Duration::ZERO);

    /// A duration of whole seconds.
    pub const fn from_secs(seconds: u32) -> Self {
        Self(time::Duration::from_secs(seconds as u64))
    }

    /// A duration of whole milliseconds.
    pub const fn from_millis(milliseconds: u32) -> Self {
        Self(time::Duration::from_millis(milliseconds as u64))
    }

    /// The duration as the standard library has it.
    pub const fn get(self) -> time::Duration {
        self.0
    }

    /// Whether it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let owned = || text.to_owned();
        if text.is_empty() {
            return Err(DurationError::Empty);
        }
        if text.starts_with('-') {
            return Err(DurationError::Negative { text: owned() });
        }
        let mut rest = text;
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let Some((number, after)) = Decimal::read(rest) else {
                return Err(DurationError::Number {
                    text: owned(),
                    rest: rest.to_owned(),
                });
            };
            let end = after
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(after.len());
            let (unit, next) = after.split_at(end);
            let bare = unit.is_empty() && next.is_empty() && rest.len() == text.len();
            let nanoseconds = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size);
            let Some(nanoseconds) = nanoseconds.or(bare.then_some(SECOND)) else {
                if unit.is_empty() {
                    return Err(DurationError::NoUnit { text: owned() });
                }
                return Err(DurationError::Unit {
                    text: owned(),
                    unit: unit.to_owned(),
                });
            };
            let (whole, exact) = number
                .times(nanoseconds)
                .ok_or_else(|| DurationError::TooLong { text: owned() })?;
            if !exact {
                return Err(DurationError::TooFine { text: owned() });
            }
            total = total.saturating_add(whole);
            rest = next;
        }
        let total = u64::try_from(total).map_err(|_| DurationError::TooLong { text: owned() })?;
        Ok(Self(time::Duration::from_nanos(total)))
    }
}

/// The shortest form that reads back as the same duration.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in WRITTEN {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Duration> for time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

/// Longer than 584 years becomes 584 years, which no timer can tell from it.
impl From<time::Duration> for Duration {
    fn from(duration: time::Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(time::Duration::from_nanos(nanoseconds))
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `30s` or a number of seconds")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Duration, E> {
                self.visit_str(&seconds.to_string())
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
                self.visit_str(&seconds.to_string())
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Duration, E> {
                if seconds.is_finite() {
                    self.visit_str(&seconds.to_string())
                } else {
                    Err(E::invalid_value(Unexpected::Float(seconds), &self))
                }
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: `250ms`, `30s`, `5m0s`, `7d`, decimals allowed, or a bare number of seconds.",
            "type": ["string", "number"],
            "format": "duration",
            "minimum": 0,
            "examples": ["30s", "5m"],
        })
    }
}

const SECOND: u64 = 1_000_000_000;
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
    ("d", 86_400 * SECOND),
];
const WRITTEN: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nanos(text: &str) -> Result<u128, DurationError> {
        text.parse::<Duration>().map(|duration| duration.get().as_nanos())
    }

    #[test]
    fn every_documented_form_is_read() {
        for (text, expected) in [
            ("250ms", 250_000_000),
            ("30s", 30_000_000_000),
            ("5m0s", 300_000_000_000),
            ("7d", 604_800_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0.25", 250_000_000),
            ("30", 30_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("0", 0),
            (" 2us ", 2_000),
        ] {
            assert_eq!(nanos(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_its_reason() {
        let reason = |text: &str| nanos(text).expect_err(text).to_string();
        assert_eq!(reason(""), "a duration is missing");
        assert_eq!(reason("-5s"), "a duration cannot be negative: -5s");
        assert_eq!(reason("soon"), "`soon` is not a duration: expected a number at `soon`");
        assert_eq!(
            reason("5 m"),
            "`5 m` is not a duration: ` m` is no unit; use ns, us, ms, s, m, h or d"
        );
        assert_eq!(
            reason("5w"),
            "`5w` is not a duration: `w` is no unit; use ns, us, ms, s, m, h or d"
        );
        assert_eq!(
            reason("5m30"),
            "`5m30` is not a duration: every number needs a unit when one has it"
        );
        assert_eq!(reason("0.5ns"), "`0.5ns` is finer than a nanosecond");
        assert_eq!(reason("213504d"), "`213504d` is longer than 584 years");
        assert_eq!(
            reason("99999999999999999999999999999999999999999s"),
            "`99999999999999999999999999999999999999999s` is longer than 584 years"
        );
    }

    #[test]
    fn numbers_in_json_are_seconds() {
        let read = |json: &str| serde_json::from_str::<Duration>(json).map(Duration::get);
        assert_eq!(read("1.5").unwrap(), time::Duration::from_millis(1500));
        assert_eq!(read("30").unwrap(), time::Duration::from_secs(30));
        assert_eq!(read("\"7d\"").unwrap(), time::Duration::from_hours(168));
        assert!(
            read("-1")
                .unwrap_err()
                .to_string()
                .starts_with("a duration cannot be negative")
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(nanoseconds: u64) {
            let duration = Duration::from(time::Duration::from_nanos(nanoseconds));
            prop_assert_eq!(duration.to_string().parse::<Duration>(), Ok(duration));
        }

        #[test]
        fn any_text_is_answered_without_a_panic(text in ".*") {
            if let Ok(duration) = text.parse::<Duration>() {
                prop_assert_eq!(duration.to_string().parse::<Duration>(), Ok(duration));
            }
        }
    }
}
