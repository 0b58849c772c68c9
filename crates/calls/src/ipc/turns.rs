//! The order of answers to calls without an id.

use tokio::sync::oneshot;

/// Gives turns, one after the other.
#[derive(Debug, Default)]
pub(super) struct Turns {
    last: Option<oneshot::Receiver<()>>,
}

/// One turn; the next one comes when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _after: oneshot::Sender<()>,
}

impl Turns {
    /// The turn after all that have been taken.
    pub(super) fn take(&mut self) -> Turn {
        let (after, next) = oneshot::channel();
        Turn {
            before: self.last.replace(next),
            _after: after,
        }
    }
}

impl Turn {
    /// Waits until it has come.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub(super) async fn come(&mut self) {
        if let Some(before) = &mut self.before {
            // Nothing is ever sent: it ends with the turn before.
            let _ = before.await;
            self.before = None;
        }
    }
}
