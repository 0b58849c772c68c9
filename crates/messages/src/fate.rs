//! Decides what becomes of a message: whether its handler is called, and what follows from how that ended.
//!
//! Pure: no I/O, no clock, no chance; they come in as values. The rows of the table "What becomes of a message" in
//! the protocol are the arms of [`Policy::after`]; [`routing`](crate::routing) says where outputs go.

use std::{error::Error, iter::successors, time::Duration};

use chassis::guard::Backoff;
use handlers::HandlerError;
use queues::Again;
use wire::{Fault, Part, Reply, code};

use crate::Retry;

/// An actor's rules on trying again.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The actor's own `retry`, if it has one.
    pub retry: Option<Retry>,
    /// How often the handler is called for a message whose deliveries do not finish; 0 is without limit.
    pub max_deliveries: u32,
    /// What kind of actor it is.
    pub kind: Kind,
}

/// Where on a route an actor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One that sends its results on.
    Ordinary,
    /// One of the ends: nothing is sent on, and no failure leaves it.
    End,
}

/// How often a message was tried already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// The handler's attempts at this step, this one included.
    pub attempt: u32,
    /// Deliveries that began and did not finish, this one included; `None` where the queue does not know.
    pub deliveries: Option<u32>,
}

/// What the exchange was, besides a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// A call like any other.
    Ordinary,
    /// A call that was to show whether a handler is back after a timeout.
    Probe,
}

/// What becomes of a message.
#[derive(Debug)]
pub enum Fate {
    /// Outputs go on along the route, none means that the original goes to the happy end; the input is done.
    Forward(Vec<Part>),
    /// The original goes to the error end with this record; the input is done.
    Bury(Fault),
    /// Back into the queue.
    Again(Again),
}

impl Policy {
    /// Whether the handler may be called at all for a message that was delivered this often.
    ///
    /// # Errors
    /// The failure, when the message used up its deliveries.
    pub fn admit(&self, tries: Tries) -> Result<(), Fault> {
        let used_up = self.kind == Kind::Ordinary
            && self.max_deliveries > 0
            && tries.deliveries.is_some_and(|deliveries| deliveries > self.max_deliveries);
        if !used_up {
            return Ok(());
        }
        let message = format!(
            "the handler was called {} times and never finished: it may be this message that ends it",
            self.max_deliveries
        );
        Err(fault(code::ATTEMPTS_EXHAUSTED, message))
    }

    /// What becomes of a message whose exchange ended like this. `chance` is a number from 0 to 1, for the jitter.
    pub fn after(&self, ending: Result<Reply, HandlerError>, trial: Trial, tries: Tries, chance: f64) -> Fate {
        let lost = || Fate::Again(Again::lost(LOST.delay(tries.deliveries.unwrap_or(1), chance)));
        match ending {
            Ok(Reply::Fault(fault)) => self.after_fault(fault, tries, chance),
            Ok(reply) => Fate::Forward(reply.parts()),
            Err(HandlerError::Unreachable { .. }) => Fate::Again(Again::UNCOUNTED),
            Err(HandlerError::Lost { .. }) => lost(),
            Err(HandlerError::Timeout { .. } | HandlerError::Idle { .. }) if trial == Trial::Probe => lost(),
            Err(error) => self.bury(fault(error.code(), in_full(&error)), tries, chance),
        }
    }

    /// The end of a message's way; at an end actor it has nowhere else to go, and is tried again.
    pub fn bury(&self, fault: Fault, tries: Tries, chance: f64) -> Fate {
        match self.kind {
            Kind::Ordinary => Fate::Bury(fault),
            Kind::End => {
                let delay = self.backoff().delay(tries.attempt, chance);
                Fate::Again(Again::attempt(tries.attempt.saturating_add(1), delay))
            }
        }
    }

    fn after_fault(&self, fault: Fault, tries: Tries, chance: f64) -> Fate {
        let wanted = match self.retry {
            Some(_) => fault.retryable != Some(false),
            None => fault.retryable == Some(true),
        };
        let attempts = self.retry.unwrap_or_default().attempts.get();
        if !wanted || tries.attempt >= attempts {
            return self.bury(fault, tries, chance);
        }
        let delay = self.backoff().delay(tries.attempt, chance).max(fault.retry_after.unwrap_or_default());
        Fate::Again(Again::attempt(tries.attempt + 1, delay))
    }

    fn backoff(&self) -> Backoff {
        let retry = self.retry.unwrap_or_default();
        Backoff::new(retry.backoff.into(), retry.max_backoff.into())
    }
}

/// A failure of ours.
pub(crate) fn fault(code: &str, message: impl Into<String>) -> Fault {
    Fault { code: Some(code.to_owned()), ..Fault::new(message) }
}

/// An error and its causes, in one line.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let causes = successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// After a lost connection.
const LOST: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
