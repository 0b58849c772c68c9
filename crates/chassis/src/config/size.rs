//! A number of bytes as people write it: `10MiB`, `64KB`, or a bare number.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use super::decimal::Decimal;

/// A number of bytes in a configuration. `KB MB GB TB` are powers of 1000, `KiB MiB GiB TiB` of 1024, in either case.
///
/// ```
/// use chassis::config::ByteSize;
///
/// assert_eq!("1.5MiB".parse::<ByteSize>()?.bytes(), 1_572_864);
/// assert_eq!(ByteSize::new(64_000).to_string(), "64KB");
/// # Ok::<(), chassis::config::ByteSizeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(u64);

/// Why a text is not a [`ByteSize`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ByteSizeError {
    /// Nothing but space.
    #[error("a size is missing")]
    Empty,
    /// Below zero.
    #[error("a size cannot be negative: {text}")]
    Negative {
        /// The text that was read.
        text: String,
    },
    /// Does not begin with a number.
    #[error("`{text}` is not a size: expected a number such as 10MiB")]
    Number {
        /// The text that was read.
        text: String,
    },
    /// A unit that nobody knows.
    #[error("`{text}` is not a size: `{unit}` is no unit; use B, KB, MB, GB, TB, KiB, MiB, GiB or TiB")]
    Unit {
        /// The text that was read.
        text: String,
        /// What stands in the unit's place.
        unit: String,
    },
    /// A part of a byte is left over.
    #[error("`{text}` is not a whole number of bytes")]
    Fraction {
        /// The text that was read.
        text: String,
    },
    /// More than 2^64 - 1 bytes.
    #[error("`{text}` is more than 16 EiB")]
    TooLarge {
        /// The text that was read.
        text: String,
    },
}

impl ByteSize {
    /// A number of bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A number of kibibytes.
    pub const fn kib(kibibytes: u32) -> Self {
        Self((kibibytes as u64) << 10)
    }

    /// A number of mebibytes.
    pub const fn mib(mebibytes: u32) -> Self {
        Self((mebibytes as u64) << 20)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; what cannot be addressed here becomes the largest that can.
    pub fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Whether it is no byte at all.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let owned = || text.to_owned();
        if text.is_empty() {
            return Err(ByteSizeError::Empty);
        }
        if text.starts_with('-') {
            return Err(ByteSizeError::Negative { text: owned() });
        }
        let (number, unit) = Decimal::read(text).ok_or_else(|| ByteSizeError::Number { text: owned() })?;
        let unit = unit.trim_start();
        let size = UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|(_, size)| *size)
            .or(unit.is_empty().then_some(1))
            .ok_or_else(|| ByteSizeError::Unit {
                text: owned(),
                unit: unit.to_owned(),
            })?;
        let (bytes, exact) = number
            .times(size)
            .ok_or_else(|| ByteSizeError::TooLarge { text: owned() })?;
        if !exact {
            return Err(ByteSizeError::Fraction { text: owned() });
        }
        u64::try_from(bytes)
            .map(Self)
            .map_err(|_| ByteSizeError::TooLarge { text: owned() })
    }
}

/// The shortest form that reads back as the same size: the largest unit that divides it.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divides = |(_, size): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*size);
        match UNITS.iter().rev().find(divides) {
            Some((unit, size)) if *size > 1 => write!(f, "{}{unit}", self.0 / size),
            _ => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<u64> for ByteSize {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as `10MiB` or a number of bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                self.visit_str(&bytes.to_string())
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size: `10MiB`, `64KB`, or a bare number of bytes.",
            "type": ["string", "integer"],
            "format": "size",
            "minimum": 0,
            "examples": ["10MiB", "64KB"],
        })
    }
}

/// Smallest first, binary after decimal where they are near, so that the last one that divides is the shortest to write.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_documented_form_is_read() {
        for (text, expected) in [
            ("10MiB", 10 << 20),
            ("64KB", 64_000),
            ("64 kib", 65_536),
            ("1.5GiB", 1_610_612_736),
            ("12", 12),
            ("7B", 7),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_its_reason() {
        let reason = |text: &str| text.parse::<ByteSize>().expect_err(text).to_string();
        assert_eq!(reason(""), "a size is missing");
        assert_eq!(reason("-1"), "a size cannot be negative: -1");
        assert_eq!(reason("big"), "`big` is not a size: expected a number such as 10MiB");
        assert_eq!(
            reason("10M"),
            "`10M` is not a size: `M` is no unit; use B, KB, MB, GB, TB, KiB, MiB, GiB or TiB"
        );
        assert_eq!(reason("0.1KiB"), "`0.1KiB` is not a whole number of bytes");
        assert_eq!(reason("16777216TiB"), "`16777216TiB` is more than 16 EiB");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(bytes: u64, shift in 0_u32..40) {
            let size = ByteSize((bytes >> 24) << shift.min(24));
            prop_assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size));
        }

        #[test]
        fn any_text_is_answered_without_a_panic(text in "[0-9.]{0,40} ?[a-zA-Z]{0,4}") {
            if let Ok(size) = text.parse::<ByteSize>() {
                prop_assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size));
            }
        }
    }
}
