//! The two ids of a span: its trace's and its own. Neither is ever zero.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

/// The id of a trace: 16 bytes, written as 32 small hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

/// The id of a span within its trace: 8 bytes, written as 16 small hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(NonZeroU64);

impl TraceId {
    /// The id with these bits; 0, which none may have, becomes 1.
    pub fn new(bits: u128) -> Self {
        Self(NonZeroU128::new(bits).unwrap_or(NonZeroU128::MIN))
    }

    /// Its bits.
    pub fn bits(self) -> u128 {
        self.0.get()
    }

    /// Its bytes, most significant first.
    pub fn to_bytes(self) -> [u8; 16] {
        self.bits().to_be_bytes()
    }

    /// Reads 32 small hexadecimal digits that are not all zero.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let bits = u128::from(hex(text.get(..16)?)?) << 64 | u128::from(hex(text.get(16..)?)?);
        NonZeroU128::new(bits).map(Self)
    }
}

impl SpanId {
    /// The id with these bits; 0, which none may have, becomes 1.
    pub fn new(bits: u64) -> Self {
        Self(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }

    /// Its bits.
    pub fn bits(self) -> u64 {
        self.0.get()
    }

    /// Its bytes, most significant first.
    pub fn to_bytes(self) -> [u8; 8] {
        self.bits().to_be_bytes()
    }

    /// Reads 16 small hexadecimal digits that are not all zero.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        NonZeroU64::new(hex(text)?).map(Self)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.bits())
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.bits())
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number that up to 16 small hexadecimal digits write; large ones are no digits here.
pub(super) fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}
