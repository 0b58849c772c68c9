//! When something last moved, for those who wait until nothing does.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// The last time that something moved.
#[derive(Debug)]
pub(super) struct Pulse {
    origin: Instant,
    /// Nanoseconds after that.
    last: AtomicU64,
}

impl Pulse {
    /// Nothing has moved yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            origin: now,
            last: AtomicU64::new(0),
        }
    }

    /// Something moves.
    pub(super) fn beat(&self) {
        let since = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // One beat is not the beginning.
        self.last.store(since.max(1), Ordering::Relaxed);
    }

    /// Whether anything has moved.
    pub(super) fn has_beaten(&self) -> bool {
        self.last.load(Ordering::Relaxed) > 0
    }

    /// When something last moved; the beginning, where nothing has.
    pub(super) fn last(&self) -> Instant {
        self.origin + Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }

    /// Waits until nothing has moved for so long; `None` is for ever.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub(super) async fn silence(&self, limit: Option<Duration>) {
        let Some(limit) = limit else {
            return std::future::pending().await;
        };
        while let Some(due) = self.last().checked_add(limit).filter(|due| Instant::now() < *due) {
            tokio::time::sleep_until(due).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_last_beat() {
        let pulse = Pulse::new(Instant::now());
        let begun = Instant::now();
        let limit = Duration::from_secs(10);
        assert!(!pulse.has_beaten());
        tokio::join!(pulse.silence(Some(limit)), async {
            tokio::time::sleep(Duration::from_secs(7)).await;
            pulse.beat();
        });
        assert!(pulse.has_beaten());
        assert_eq!(begun.elapsed().as_secs(), 17);
    }
}
