//! The circuit breaker: after enough failures in a row, leave the other side alone for a while, then ask once.
//!
//! The one rule: only the newest state listens. A trial that began before the breaker changed says nothing about the
//! state it is in now, and one that is dropped without an answer counts as nothing.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Closed, open, half-open; a cheap handle, clones share one state.
#[derive(Debug, Clone)]
pub struct Breaker {
    shared: Arc<Shared>,
}

impl Breaker {
    /// Opens after `failures` in a row, for `open_for`; then one trial decides.
    pub fn new(failures: NonZeroU32, open_for: Duration) -> Self {
        let state = Mutex::new(Inner {
            phase: Phase::Closed { failures: 0 },
            epoch: 0,
        });
        Self {
            shared: Arc::new(Shared {
                failures,
                open_for,
                state,
            }),
        }
    }

    /// Asks to go ahead.
    ///
    /// # Errors
    /// [`Open`] while the breaker is open, and in half-open while somebody else's trial is on its way.
    pub fn admit(&self) -> Result<Trial, Open> {
        let mut inner = self.shared.lock();
        match inner.phase {
            Phase::Closed { .. } => {}
            Phase::Open { since } => {
                let left = self.shared.left(since);
                if !left.is_zero() {
                    return Err(Open { left });
                }
                inner.become_(Phase::HalfOpen { probing: true });
            }
            Phase::HalfOpen { probing: true } => {
                return Err(Open {
                    left: self.shared.open_for.min(PROBE_WAIT),
                });
            }
            Phase::HalfOpen { probing: false } => inner.become_(Phase::HalfOpen { probing: true }),
        }
        Ok(Trial {
            shared: Arc::clone(&self.shared),
            epoch: inner.epoch,
            told: false,
        })
    }

    /// What an [`admit`](Self::admit) would meet now.
    pub fn state(&self) -> BreakerState {
        match self.shared.lock().phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::Open { since } => match self.shared.left(since) {
                Duration::ZERO => BreakerState::HalfOpen,
                left => BreakerState::Open { left },
            },
        }
    }
}

/// What a breaker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything goes through.
    Closed,
    /// Nothing goes through.
    Open {
        /// Until one trial may.
        left: Duration,
    },
    /// One trial decides.
    HalfOpen,
}

/// The answer of an open breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failing too often, left alone for another {left:?}")]
pub struct Open {
    /// When to come back; never zero. While a trial is on its way this is a guess of at most a second.
    pub left: Duration,
}

/// Permission to try once; tell it how it went.
///
/// Dropped untold (its caller was cancelled) it counts as neither, and in half-open the next caller may try.
#[derive(Debug)]
#[must_use = "a trial that is dropped counts as nothing"]
pub struct Trial {
    shared: Arc<Shared>,
    epoch: u64,
    told: bool,
}

impl Trial {
    /// The other side answered.
    pub fn succeeded(mut self) {
        self.told = true;
        let mut inner = self.shared.lock();
        if inner.epoch == self.epoch {
            match &mut inner.phase {
                Phase::Closed { failures } => *failures = 0,
                _ => inner.become_(Phase::Closed { failures: 0 }),
            }
        }
    }

    /// The other side did not answer.
    pub fn failed(mut self) {
        self.told = true;
        let mut inner = self.shared.lock();
        if inner.epoch != self.epoch {
            return;
        }
        if let Phase::Closed { failures } = &mut inner.phase {
            *failures += 1;
            if *failures < self.shared.failures.get() {
                return;
            }
        }
        inner.become_(Phase::Open { since: Instant::now() });
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        let mut inner = self.shared.lock();
        if inner.epoch == self.epoch && matches!(inner.phase, Phase::HalfOpen { .. }) {
            inner.become_(Phase::HalfOpen { probing: false });
        }
    }
}

#[derive(Debug)]
struct Shared {
    failures: NonZeroU32,
    open_for: Duration,
    state: Mutex<Inner>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is a single assignment: there is no half-made state that a panic could leave behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self, since: Instant) -> Duration {
        self.open_for.saturating_sub(since.elapsed())
    }
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    /// Goes up with every change of phase; a trial from an older one is not heard.
    epoch: u64,
}

impl Inner {
    fn become_(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed { failures: u32 },
    Open { since: Instant },
    HalfOpen { probing: bool },
}

/// What a caller is told to wait while somebody else's trial is on its way.
const PROBE_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_mins(1);

    fn breaker() -> Breaker {
        Breaker::new(NonZeroU32::new(3).unwrap(), OPEN_FOR)
    }

    fn opened() -> Breaker {
        let breaker = breaker();
        for _ in 0..3 {
            breaker.admit().unwrap().failed();
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn only_failures_in_a_row_open_it() {
        let breaker = breaker();
        for _ in 0..5 {
            breaker.admit().unwrap().failed();
            breaker.admit().unwrap().failed();
            breaker.admit().unwrap().succeeded();
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        for _ in 0..3 {
            breaker.admit().unwrap().failed();
        }
        assert_eq!(breaker.admit().unwrap_err(), Open { left: OPEN_FOR });
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_of_an_open_breaker_names_the_time_left() {
        let breaker = opened();
        tokio::time::advance(Duration::from_secs(45)).await;
        assert_eq!(breaker.admit().unwrap_err().left, Duration::from_secs(15));
        assert_eq!(
            breaker.state(),
            BreakerState::Open {
                left: Duration::from_secs(15)
            }
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_trial_goes_through_half_open_and_its_success_closes() {
        let breaker = opened();
        tokio::time::advance(OPEN_FOR).await;
        let trial = breaker.admit().unwrap();
        assert!(!breaker.admit().unwrap_err().left.is_zero());
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        trial.succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
        // One failure is again far from three.
        breaker.admit().unwrap().failed();
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_trial_opens_it_for_the_whole_time_again() {
        let breaker = opened();
        tokio::time::advance(OPEN_FOR).await;
        breaker.admit().unwrap().failed();
        assert_eq!(breaker.state(), BreakerState::Open { left: OPEN_FOR });
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_trial_lets_the_next_caller_try() {
        let breaker = opened();
        tokio::time::advance(OPEN_FOR).await;
        drop(breaker.admit().unwrap());
        let trial = breaker.admit().unwrap();
        assert!(breaker.admit().is_err());
        trial.succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_call_counts_as_nothing_while_closed() {
        let breaker = breaker();
        breaker.admit().unwrap().failed();
        breaker.admit().unwrap().failed();
        drop(breaker.admit().unwrap());
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.admit().unwrap().failed();
        assert_eq!(breaker.state(), BreakerState::Open { left: OPEN_FOR });
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_from_before_it_opened_is_not_heard() {
        let breaker = breaker();
        let (late_failure, late_success, late_drop) = (
            breaker.admit().unwrap(),
            breaker.admit().unwrap(),
            breaker.admit().unwrap(),
        );
        for _ in 0..3 {
            breaker.admit().unwrap().failed();
        }
        late_success.succeeded();
        assert_eq!(breaker.state(), BreakerState::Open { left: OPEN_FOR });
        tokio::time::advance(OPEN_FOR).await;
        let trial = breaker.admit().unwrap();
        late_failure.failed();
        drop(late_drop);
        assert!(breaker.admit().is_err(), "the one trial is still on its way");
        trial.succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
