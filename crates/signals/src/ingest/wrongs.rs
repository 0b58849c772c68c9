//! Counts the wrong lines of one sender, and speaks of them now and then.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::warn;
use wire::signal::Wrong;

use crate::hub::Hub;

/// The wrong lines of one sender.
#[derive(Debug)]
pub(super) struct Wrongs {
    hub: Arc<Hub>,
    peer: String,
    /// When something was said of them, and how many there were since.
    said: Option<Instant>,
    unsaid: usize,
}

/// Between words about them.
const PAUSE: Duration = Duration::from_secs(1);

impl Wrongs {
    pub(super) fn new(hub: &Arc<Hub>, peer: String) -> Self {
        Self {
            hub: Arc::clone(hub),
            peer,
            said: None,
            unsaid: 0,
        }
    }

    /// There were some more.
    pub(super) fn note(&mut self, wrong: Wrong, lines: usize) {
        self.hub.metrics.dropped(wrong.reason(), lines);
        self.unsaid += lines;
        if self.said.is_none_or(|said| said.elapsed() >= PAUSE) {
            self.said = Some(Instant::now());
            let lines = std::mem::take(&mut self.unsaid);
            warn!(peer = self.peer, lines, reason = wrong.reason(), error = %wrong, "a line is of no use");
        }
    }

    /// Who sends them.
    pub(super) fn peer(&self) -> &str {
        &self.peer
    }
}
