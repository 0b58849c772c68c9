//! An upstream: its addresses, and which one is asked.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chassis::guard::{Backoff, Breaker, BreakerState, Trial};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::{
    UpstreamAddress,
    address::Place,
    balance::{self, Candidate},
    budget::{Budget, LONGEST_BACKOFF},
    failure::Failure,
    pool::Pool,
    trouble::Trouble,
};
use crate::config;

/// An upstream.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) name: Arc<str>,
    pub(super) origins: Vec<Arc<Origin>>,
    pub(super) host: config::HostHeader,
    pub(super) limits: Limits,
    pub(super) attempts: NonZeroU32,
    pub(super) backoff: Backoff,
    budget: Mutex<Budget>,
    balance: config::Balance,
    turn: AtomicUsize,
}

/// One address of an upstream.
pub(super) struct Origin {
    pub(super) address: UpstreamAddress,
    /// What `Host` says where its own is wanted.
    pub(super) host: String,
    pub(super) pool: Pool,
    pub(super) breaker: Option<Breaker>,
    pub(super) tls: Option<TlsConnector>,
    trouble: Trouble,
    pending: AtomicUsize,
}

/// How long things may take; `None` for ever.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connect: Option<Duration>,
    pub(super) headers: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) total: Option<Duration>,
}

/// An address that was chosen, and counts one request more until this is dropped.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) origin: Arc<Origin>,
    /// Its place in the list.
    pub(super) index: usize,
    pub(super) trial: Option<Trial>,
}

impl Upstream {
    pub(super) fn new(name: &str, config: &config::Upstream, origins: Vec<Arc<Origin>>) -> Self {
        let limit = |duration: chassis::config::Duration| Some(duration.get()).filter(|duration| !duration.is_zero());
        Self {
            name: name.into(),
            origins,
            host: config.host,
            limits: Limits {
                connect: limit(config.timeouts.connect),
                headers: limit(config.timeouts.headers),
                idle: limit(config.timeouts.idle),
                total: limit(config.timeouts.total),
            },
            attempts: config.retry.attempts,
            backoff: Backoff::new(
                config.retry.backoff.get(),
                LONGEST_BACKOFF.max(config.retry.backoff.get()),
            ),
            budget: Mutex::new(Budget::new(config.retry.budget, Instant::now())),
            balance: config.balance,
            turn: AtomicUsize::new(0),
        }
    }

    /// The address for the next try, of those whose breaker lets it through.
    ///
    /// # Errors
    /// None does: [`Failure::Open`].
    pub(super) fn choose(&self, tried: &[usize]) -> Result<Chosen, Failure> {
        if let [only] = &self.origins[..] {
            return only.admit(0).map_err(|left| Failure::Open { left });
        }
        let candidates: Vec<Candidate> = self
            .origins
            .iter()
            .enumerate()
            .map(|(index, origin)| Candidate {
                pending: origin.pending.load(Ordering::Relaxed),
                was_tried: tried.contains(&index),
            })
            .collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut soonest = Duration::MAX;
        for index in balance::order(self.balance, turn, &candidates) {
            match self.origins[index].admit(index) {
                Ok(chosen) => return Ok(chosen),
                Err(left) => soonest = soonest.min(left),
            }
        }
        Err(Failure::Open { left: soonest })
    }

    /// A request came.
    pub(super) fn count(&self) {
        if self.attempts.get() > 1 {
            self.budget
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .request(Instant::now());
        }
    }

    /// Whether one more may be tried again.
    pub(super) fn spend(&self) -> bool {
        self.budget
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spend(Instant::now())
    }
}

impl Origin {
    pub(super) fn new(
        upstream: Arc<str>,
        address: UpstreamAddress,
        breaker: config::Breaker,
        tls: Option<TlsConnector>,
    ) -> Self {
        Self {
            trouble: Trouble::new(upstream, address.to_string()),
            host: address.host(),
            address,
            pool: Pool::default(),
            breaker: match breaker {
                config::Breaker::Off(_) => None,
                config::Breaker::On(limits) => Some(Breaker::new(limits.failures, limits.open.get())),
            },
            tls,
            pending: AtomicUsize::new(0),
        }
    }

    /// Whether connections to an address are encrypted.
    pub(super) fn is_encrypted(address: &UpstreamAddress) -> bool {
        matches!(address.place, Place::Tcp { is_encrypted: true, .. })
    }

    /// What is said of it.
    pub(super) fn status(&self) -> Value {
        let breaker = self.breaker.as_ref().map(|breaker| match breaker.state() {
            BreakerState::Closed => "closed",
            BreakerState::HalfOpen => "half_open",
            BreakerState::Open { .. } => "open",
        });
        json!({
            "url": self.address.to_string(),
            "breaker": breaker,
            "pending": self.pending.load(Ordering::Relaxed),
        })
    }

    fn admit(self: &Arc<Self>, index: usize) -> Result<Chosen, Duration> {
        let trial = self
            .breaker
            .as_ref()
            .map(Breaker::admit)
            .transpose()
            .map_err(|open| open.left)?;
        self.pending.fetch_add(1, Ordering::Relaxed);
        Ok(Chosen {
            origin: Arc::clone(self),
            index,
            trial,
        })
    }
}

impl Chosen {
    /// The address has answered. What becomes of the body is heard too, but where one request decides over all others they do not
    /// wait for it.
    pub(super) fn answered(&mut self) {
        let breaker = self.origin.breaker.as_ref();
        if breaker.is_some_and(|breaker| breaker.state() != BreakerState::Closed) {
            self.finished();
        }
    }

    /// The answer has come to its end.
    pub(super) fn finished(&mut self) {
        if let Some(trial) = self.trial.take() {
            trial.succeeded();
        }
        self.origin.trouble.answered();
    }

    /// The address has failed; `why` is asked where the log tells of it.
    pub(super) fn failed(&mut self, why: impl FnOnce() -> String) {
        if let Some(trial) = self.trial.take() {
            trial.failed();
        }
        let left = match self.origin.breaker.as_ref().map(Breaker::state) {
            Some(BreakerState::Open { left }) => Some(left),
            _ => None,
        };
        self.origin.trouble.failed(left, why);
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        self.origin.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
