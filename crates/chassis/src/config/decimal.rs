//! Decimal numbers of any length, multiplied exactly: `1.5` of a unit is never a rounding away from itself.

/// Digits before and after the point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal<'a> {
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    /// Reads a number from the front of `text` and gives what follows it; `None` where no digit stands.
    pub(super) fn read(text: &'a str) -> Option<(Self, &'a str)> {
        let (whole, rest) = digits(text);
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", rest),
        };
        (!whole.is_empty() || !fraction.is_empty()).then_some((Self { whole, fraction }, rest))
    }

    /// The number times `unit`, rounded down, and whether that was exact; `None` when it does not fit.
    pub(super) fn times(self, unit: u64) -> Option<(u128, bool)> {
        let unit = u128::from(unit);
        let mut whole: u128 = 0;
        for digit in self.whole.bytes() {
            whole = whole.checked_mul(10)?.checked_add(u128::from(digit - b'0'))?;
        }
        let whole = whole.checked_mul(unit)?;
        // Long division by ten, last digit first: what is carried stays below the unit, so nothing can overflow.
        let (mut part, mut exact) = (0, true);
        for digit in self.fraction.bytes().rev() {
            let sum = part + u128::from(digit - b'0') * unit;
            exact &= sum % 10 == 0;
            part = sum / 10;
        }
        Some((whole.checked_add(part)?, exact))
    }
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}
