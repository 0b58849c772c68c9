//! Numbers by their text, without the loss of a float in between.

use std::time::Duration;

/// The integer that this JSON number is, as JSON Schema sees it: `1.0` and `1e0` are 1. What is beyond an `i64`
/// becomes its nearest end; `None` for a fraction and for what is no number.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let head = significant.trim_start_matches('0');
    if head.is_empty() {
        return Some(0);
    }
    let dropped = digits.len() - significant.len();
    let zeros = exponent_of(exponent)
        .saturating_add_unsigned(dropped as u64)
        .saturating_sub_unsigned(fraction.len() as u64);
    let zeros = usize::try_from(zeros).ok()?;
    let size = if head.len().saturating_add(zeros) > I64_DIGITS {
        i128::from(i64::MAX) + 1
    } else {
        let head: i128 = head.parse().ok()?;
        head * 10_i128.pow(u32::try_from(zeros).ok()?)
    };
    let value = if negative { -size } else { size };
    let clamped = value.clamp(i64::MIN.into(), i64::MAX.into());
    i64::try_from(clamped).ok()
}

/// The seconds that this JSON number is; below zero is none, and never longer than [`LONGEST`].
pub(crate) fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    if seconds.is_nan() {
        return None;
    }
    Some(
        Duration::try_from_secs_f64(seconds.max(0.0))
            .unwrap_or(LONGEST)
            .min(LONGEST),
    )
}

fn exponent_of(text: &str) -> i64 {
    text.strip_prefix('+')
        .unwrap_or(text)
        .parse()
        .unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX })
}

/// The longest delay that is obeyed: a year.
pub(crate) const LONGEST: Duration = Duration::from_hours(365 * 24);

/// As many decimal digits never reach beyond an `i128`, and more never fit an `i64`.
const I64_DIGITS: usize = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_what_json_schema_calls_one() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0e5", 0),
            ("0e99999999999999999999", 0),
            ("1", 1),
            ("1.0", 1),
            ("1e0", 1),
            ("10E-1", 1),
            ("1.20e+1", 12),
            ("-7", -7),
            ("9223372036854775807", i64::MAX),
            ("9223372036854775808", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("1e400", i64::MAX),
            ("-1e99999999999999999999", i64::MIN),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
    }

    #[test]
    fn a_fraction_is_no_integer() {
        for text in [
            "0.5",
            "1e-1",
            "1.05e1",
            "1e-99999999999999999999",
            "true",
            "\"1\"",
            "null",
            "[]",
            "",
        ] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn a_delay_is_never_negative_and_never_longer_than_a_year() {
        assert_eq!(seconds("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(seconds("-3"), Some(Duration::ZERO));
        assert_eq!(seconds("1e300"), Some(LONGEST));
        assert_eq!(seconds("1e999"), Some(LONGEST));
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds("nan"), None);
    }
}
