//! What the log says of an address that fails: the first failure with its cause, that it is left alone, then one every ten seconds at
//! most with how many there were, and a word when it answers again.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tracing::{info, warn};

/// Of one address.
#[derive(Debug)]
pub(super) struct Trouble {
    upstream: Arc<str>,
    address: String,
    /// Whether its return is worth a word: all that an address costs which answers.
    is_told: AtomicBool,
    record: Mutex<Record>,
}

/// What was told, and what not yet.
#[derive(Debug, Default)]
struct Record {
    told: Option<Instant>,
    /// Whether it was left alone, by what was told last.
    was_left: bool,
    failures: u64,
}

/// Between two warnings about one address.
const SILENCE: Duration = Duration::from_secs(10);

impl Trouble {
    pub(super) fn new(upstream: Arc<str>, address: String) -> Self {
        Self {
            upstream,
            address,
            is_told: AtomicBool::new(false),
            record: Mutex::default(),
        }
    }

    /// A request failed, which leaves the address alone for so long; `why` is asked where it is told.
    pub(super) fn failed(&self, left_alone: Option<Duration>, why: impl FnOnce() -> String) {
        let Some(failures) = self.record(|record| record.failed(Instant::now(), left_alone.is_some())) else {
            return;
        };
        self.is_told.store(true, Ordering::Relaxed);
        let (upstream, address, error) = (&*self.upstream, &self.address, why());
        let Some(left) = left_alone else {
            return warn!(upstream, address, failures, error, "an upstream fails");
        };
        let for_s = left.as_secs_f64().ceil();
        warn!(
            upstream,
            address, failures, error, for_s, "an upstream fails, and is left alone"
        );
    }

    /// A request was answered.
    pub(super) fn answered(&self) {
        if self.is_told.load(Ordering::Relaxed) && self.is_told.swap(false, Ordering::Relaxed) {
            info!(
                upstream = &*self.upstream,
                address = self.address,
                "an upstream answers again"
            );
        }
    }

    fn record<T>(&self, act: impl FnOnce(&mut Record) -> T) -> T {
        act(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Record {
    /// How many failures are to be told of now.
    fn failed(&mut self, now: Instant, is_left: bool) -> Option<u64> {
        self.failures += 1;
        let is_early = self.told.is_some_and(|told| now.duration_since(told) < SILENCE);
        if is_early && (self.was_left || !is_left) {
            return None;
        }
        (self.told, self.was_left) = (Some(now), is_left);
        Some(std::mem::take(&mut self.failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_those_after_it_together() {
        let begin = Instant::now();
        let mut record = Record::default();
        assert_eq!(record.failed(begin, false), Some(1));
        for second in 1..10 {
            assert_eq!(record.failed(begin + Duration::from_secs(second), false), None);
        }
        assert_eq!(record.failed(begin + SILENCE, false), Some(10));
        assert_eq!(record.failed(begin + SILENCE + Duration::from_secs(1), false), None);
        assert_eq!(record.failed(begin + 3 * SILENCE, false), Some(2));
    }

    #[test]
    fn that_it_is_left_alone_is_told_at_once_and_then_as_rarely_as_the_rest() {
        let begin = Instant::now();
        let mut record = Record::default();
        assert_eq!(record.failed(begin, false), Some(1));
        assert_eq!(record.failed(begin, false), None);
        assert_eq!(record.failed(begin, true), Some(2));
        assert_eq!(record.failed(begin, true), None);
        assert_eq!(record.failed(begin + SILENCE, false), Some(2));
    }
}
