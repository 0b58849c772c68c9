//! The policies together, around an async function ([`Guard::run`]) or beside a stream ([`Guard::admit`]).
//!
//! The one rule: a guard waits for nothing while it holds something that others wait for. A slot is taken for each
//! attempt and given back before the pause; the breaker's trial is taken last, when the attempt can begin at once.

use std::{future::Future, num::NonZeroU32, time::Duration};

use super::{Backoff, Breaker, BreakerState, Judge, Limit, Open, Slot, Trial, Verdict};
use crate::lifecycle::Drain;

/// Attempts, pauses between them, a time limit for each, a breaker, a concurrency limit, and the end of the process.
///
/// A cheap handle: clones share the breaker and the limit. Without anything set it calls once and waits for ever.
#[derive(Debug, Clone)]
pub struct Guard {
    attempts: NonZeroU32,
    backoff: Backoff,
    timeout: Option<Duration>,
    breaker: Option<Breaker>,
    limit: Option<Limit>,
    drain: Option<Drain>,
}

impl Guard {
    /// A guard in which nothing is set yet.
    pub fn builder() -> GuardBuilder {
        GuardBuilder {
            guard: Self {
                attempts: NonZeroU32::MIN,
                backoff: Backoff::default(),
                timeout: None,
                breaker: None,
                limit: None,
                drain: None,
            },
        }
    }

    /// Calls `op` with the number of the attempt (1-based) until it succeeds, fails for good, or attempts run out.
    ///
    /// A transient error and a timeout are tried again and count against the breaker. A terminal error is an answer:
    /// it ends the run, and to the breaker the other side is alive.
    ///
    /// # Errors
    /// The last attempt's own error or timeout; [`GuardError::Open`] only if no attempt was made;
    /// [`GuardError::Cut`] when the drain was cut.
    ///
    /// # Cancellation
    /// Dropping the future drops the attempt that runs, gives its slot back and counts as neither success nor failure.
    pub async fn run<T, E, F, Fut>(&self, mut op: F) -> Result<T, GuardError<E>>
    where
        E: Judge,
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut attempt = 0;
        let mut last = None;
        loop {
            let mut pass = match self.admit().await {
                Ok(pass) => pass,
                Err(Refused::Open { .. }) if last.is_some() => break,
                Err(refused) => return Err(refused.into()),
            };
            attempt += 1;
            let (error, after) = match self.uncut(self.timed(op(attempt))).await {
                None => return Err(GuardError::Cut),
                Some(Some(Ok(value))) => {
                    pass.succeeded();
                    return Ok(value);
                }
                Some(Some(Err(source))) => match source.verdict() {
                    Verdict::Terminal => {
                        pass.succeeded();
                        return Err(GuardError::Failed {
                            attempts: attempt,
                            source,
                        });
                    }
                    Verdict::Transient { after } => (
                        GuardError::Failed {
                            attempts: attempt,
                            source,
                        },
                        after,
                    ),
                },
                Some(None) => (
                    GuardError::TimedOut {
                        attempts: attempt,
                        timeout: self.timeout.unwrap_or_default(),
                    },
                    None,
                ),
            };
            pass.failed();
            drop(pass);
            last = Some(error);
            let pause = self
                .backoff
                .delay(attempt, fastrand::f64())
                .max(after.unwrap_or_default());
            if attempt >= self.attempts.get() || self.open_beyond(pause) {
                break;
            }
            if self.uncut(tokio::time::sleep(pause)).await.is_none() {
                return Err(GuardError::Cut);
            }
        }
        Err(last.expect("the loop is left only after an attempt failed"))
    }

    /// Asks the breaker, waits for a slot and asks again; for work that the guard cannot call itself, like a stream.
    ///
    /// Attempts, pauses and the timeout are the caller's.
    ///
    /// # Cancellation
    /// Dropping the future gives up the place in the line and nothing else.
    pub async fn admit(&self) -> Result<Pass, Refused> {
        if self.drain.as_ref().is_some_and(Drain::is_cut) {
            return Err(Refused::Cut);
        }
        if let Some(BreakerState::Open { left }) = self.breaker.as_ref().map(Breaker::state) {
            return Err(Refused::Open { left });
        }
        let slot = match &self.limit {
            None => None,
            Some(limit) => Some(self.uncut(limit.acquire()).await.ok_or(Refused::Cut)?),
        };
        let trial = match &self.breaker {
            None => None,
            Some(breaker) => Some(breaker.admit().map_err(|Open { left }| Refused::Open { left })?),
        };
        Ok(Pass { trial, _slot: slot })
    }

    /// The concurrency limit, to resize it or to see how busy it is.
    pub fn limit(&self) -> Option<&Limit> {
        self.limit.as_ref()
    }

    /// The breaker, to see its state.
    pub fn breaker(&self) -> Option<&Breaker> {
        self.breaker.as_ref()
    }

    /// `None` when it took too long.
    async fn timed<F: Future>(&self, future: F) -> Option<F::Output> {
        match self.timeout {
            None => Some(future.await),
            Some(timeout) => tokio::time::timeout(timeout, future).await.ok(),
        }
    }

    /// `None` when the drain was cut first.
    async fn uncut<F: Future>(&self, future: F) -> Option<F::Output> {
        match &self.drain {
            None => Some(future.await),
            Some(drain) => tokio::select! {
                biased;
                output = future => Some(output),
                () = drain.cut() => None,
            },
        }
    }

    fn open_beyond(&self, pause: Duration) -> bool {
        matches!(self.breaker.as_ref().map(Breaker::state), Some(BreakerState::Open { left }) if left > pause)
    }
}

/// Builds a [`Guard`].
#[derive(Debug, Clone)]
#[must_use]
pub struct GuardBuilder {
    guard: Guard,
}

impl GuardBuilder {
    /// How often `run` calls at most; 1 when not set.
    pub fn attempts(mut self, attempts: NonZeroU32) -> Self {
        self.guard.attempts = attempts;
        self
    }

    /// The pauses between attempts; 1 s to 60 s when not set.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.guard.backoff = backoff;
        self
    }

    /// How long one attempt may take, waiting for a slot not counted; for ever when not set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.guard.timeout = Some(timeout);
        self
    }

    /// The breaker, which others may share.
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.guard.breaker = Some(breaker);
        self
    }

    /// The concurrency limit, which others may share.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.guard.limit = Some(limit);
        self
    }

    /// Ends attempts and pauses when this drain is cut.
    pub fn drain(mut self, drain: Drain) -> Self {
        self.guard.drain = Some(drain);
        self
    }

    /// The guard.
    pub fn build(self) -> Guard {
        self.guard
    }
}

/// Leave to go ahead, for as long as it is held; tell it how it went as soon as that is known.
///
/// Dropped untold it counts as neither success nor failure.
#[derive(Debug)]
#[must_use = "the slot is given back as soon as the pass is dropped"]
pub struct Pass {
    trial: Option<Trial>,
    _slot: Option<Slot>,
}

impl Pass {
    /// The other side answered. Only the first word counts; the slot is kept until the drop.
    pub fn succeeded(&mut self) {
        if let Some(trial) = self.trial.take() {
            trial.succeeded();
        }
    }

    /// The other side did not answer. Only the first word counts; the slot is kept until the drop.
    pub fn failed(&mut self) {
        if let Some(trial) = self.trial.take() {
            trial.failed();
        }
    }
}

/// Why nothing was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The breaker is open.
    #[error("failing too often, left alone for another {left:?}")]
    Open {
        /// When to come back.
        left: Duration,
    },
    /// The drain was cut.
    #[error("shutting down")]
    Cut,
}

impl Judge for Refused {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Open { left } => Verdict::Transient { after: Some(*left) },
            Self::Cut => Verdict::Transient { after: None },
        }
    }
}

/// Why a run gave no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError<E> {
    /// The last attempt failed; for good, or as the last one allowed.
    #[error("failed after {attempts} attempt(s)")]
    Failed {
        /// How many were made.
        attempts: u32,
        /// What the last one said.
        #[source]
        source: E,
    },
    /// The last attempt took too long.
    #[error("no answer within {timeout:?} at attempt {attempts}")]
    TimedOut {
        /// How many were made.
        attempts: u32,
        /// How long each may take.
        timeout: Duration,
    },
    /// The breaker is open and nothing was tried.
    #[error("failing too often, left alone for another {left:?}")]
    Open {
        /// When to come back.
        left: Duration,
    },
    /// The drain was cut; whether the attempt took effect is not known.
    #[error("shutting down")]
    Cut,
}

impl<E: Judge> Judge for GuardError<E> {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Failed { source, .. } => source.verdict(),
            Self::Open { left } => Verdict::Transient { after: Some(*left) },
            Self::TimedOut { .. } | Self::Cut => Verdict::Transient { after: None },
        }
    }
}

impl<E> From<Refused> for GuardError<E> {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Open { left } => Self::Open { left },
            Refused::Cut => Self::Cut,
        }
    }
}

#[cfg(test)]
mod tests;
