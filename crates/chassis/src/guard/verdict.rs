//! What an error means for whoever might try again.
//!
//! An error is judged where it is defined, once; retry, breaker, redelivery, HTTP status and metrics read the answer.

use std::time::Duration;

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Trying the same again gives the same.
    Terminal,
    /// It may work later.
    Transient {
        /// Not before this much time has passed, where the other side said so.
        after: Option<Duration>,
    },
}

impl Verdict {
    /// True for [`Verdict::Transient`].
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Transient { .. })
    }
}

/// An error that knows what it means.
pub trait Judge {
    /// Whether trying again can help.
    fn verdict(&self) -> Verdict;
}
