//! What names a message, and what is known of one that was given out.

/// A message's row: its queue and its number in that queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in super::super) struct Seq(u64);

impl Seq {
    const NUMBER_BITS: u32 = 44;
    /// How many queues a file can have.
    pub(in super::super) const MAX_LINES: usize = (1 << (63 - Self::NUMBER_BITS)) - 1;

    pub(in super::super) fn new(line: usize, number: u64) -> Self {
        Self(((line as u64) << Self::NUMBER_BITS) | (number & Self::last_number()))
    }

    pub(in super::super) const fn last_number() -> u64 {
        (1 << Self::NUMBER_BITS) - 1
    }

    pub(in super::super) fn line(self) -> usize {
        usize::try_from(self.0 >> Self::NUMBER_BITS).unwrap_or(usize::MAX)
    }

    pub(in super::super) fn number(self) -> u64 {
        self.0 & Self::last_number()
    }

    pub(in super::super) fn row(self) -> i64 {
        self.0.cast_signed()
    }

    pub(in super::super) fn from_row(row: i64) -> Self {
        Self(row.cast_unsigned())
    }

    pub(in super::super) fn bits(self) -> u64 {
        self.0
    }
}

/// What is remembered of a message that was given out at least once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) struct Mark {
    /// Deliveries that began and did not finish, the present one included.
    pub(in super::super) deliveries: u32,
    pub(in super::super) attempt: Option<u32>,
    /// Of the last claim; zero when that one lost its lease.
    pub(in super::super) token: u64,
}

/// Who holds a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Held {
    pub(in super::super) mark: Mark,
    pub(in super::super) by: Consumer,
}

/// A consumer of a session; its number is zero for a claim by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) struct Consumer {
    pub(in super::super) holder: u64,
    pub(in super::super) number: u64,
}
