//! A share in percent.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A share of a whole, from `0%` to `100%`.
///
/// ```
/// use calls::config::Share;
///
/// let share: Share = "2.5%".parse()?;
/// assert_eq!(share.of(1000), 25);
/// # Ok::<(), calls::config::BadShare>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share(f64);

/// A text that is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share: write one such as 20%, up to 100%")]
pub struct BadShare(String);

impl Share {
    /// A whole number of percent, up to 100.
    pub const fn percent(percent: u8) -> Self {
        Self(if percent > 100 { 100.0 } else { percent as f64 })
    }

    /// This share of a number, rounded down.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a number is between 0 and the number; what floating point loses is below one in 10^15"
    )]
    pub fn of(self, whole: u64) -> u64 {
        (whole as f64 * self.0 / 100.0) as u64
    }
}

impl FromStr for Share {
    type Err = BadShare;

    fn from_str(text: &str) -> Result<Self, BadShare> {
        let bad = || BadShare(text.to_owned());
        let number = text.trim().strip_suffix('%').ok_or_else(bad)?.trim_end();
        let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let percent: f64 = Some(number)
            .filter(|_| is_plain)
            .and_then(|number| number.parse().ok())
            .ok_or_else(bad)?;
        if percent > 100.0 { Err(bad()) } else { Ok(Self(percent)) }
    }
}

impl TryFrom<String> for Share {
    type Error = BadShare;

    fn try_from(text: String) -> Result<Self, BadShare> {
        text.parse()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A share of a whole, `0%` to `100%`.",
            "type": "string",
            "format": "share",
            "examples": ["20%", "2.5%"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_of_percent() {
        assert_eq!("20%".parse(), Ok(Share::percent(20)));
        assert_eq!("0%".parse::<Share>().unwrap().of(1000), 0);
        assert_eq!("0.5%".parse::<Share>().unwrap().of(1000), 5);
        for text in ["", "%", "20", "-1%", "101%", "1e1%", "x%", "NaN%"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
