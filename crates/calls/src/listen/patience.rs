//! How long a client may take nothing of an answer.

use std::time::Duration;

use http::Extensions;

/// How long a client may take nothing of an answer that waits for it, `None` for ever; put into the extensions of that answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience(pub Option<Duration>);

impl Patience {
    /// What an answer says, or what holds for those that say nothing.
    pub(super) fn of(answer: &Extensions) -> Self {
        answer.get().copied().unwrap_or_default()
    }
}

/// A minute, as an upstream has it too where nothing else is said.
impl Default for Patience {
    fn default() -> Self {
        Self(Some(Duration::from_mins(1)))
    }
}
