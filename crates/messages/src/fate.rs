//! Decides what becomes of a message: whether its handler is called, and what follows from how that ended.
//!
//! Pure: no I/O, no clock, no chance; they come in as values. The rows of the table "What becomes of a message" in
//! the protocol are the arms of [`Policy::after`]; [`routing`](crate::routing) says where outputs go.

use std::time::Duration;

use chassis::guard::Backoff;
use queues::Again;
use wire::{ErrorRecord, Fault, Part, Reply, Timestamp, code};

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

/// How an exchange with the handler ended.
#[derive(Debug)]
pub enum Ending {
    /// A final reply.
    Replied(Reply),
    /// The request was never written whole.
    Unreachable,
    /// The connection went after the request was written.
    Lost,
    /// No final reply in time; or, with `idle`, no frame.
    TimedOut {
        /// The time that ran out.
        after: Duration,
        /// Which clock it was.
        clock: Clock,
    },
    /// Something that is no reply.
    BadReply(String),
    /// A frame over the limit, ours or the handler's.
    FrameTooLarge(String),
    /// We are shutting down and the grace is over.
    Cut,
}

/// Which clock ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The actor's `timeout`.
    Timeout,
    /// The actor's `idle_timeout`.
    Idle,
    /// The message's own deadline.
    Deadline,
    /// The actor's `timeout`, while the handler was on probation after an earlier one.
    Probe,
}

/// What becomes of a message.
#[derive(Debug)]
pub enum Fate {
    /// Outputs go on along the route, none means that the original goes to the happy end; the input is done.
    Forward(Vec<Part>),
    /// The original goes to the error end with this record; the input is done.
    Bury(Failure),
    /// Back into the queue.
    Again(Again),
}

/// A failure that ends a message's way: the error record without what is known of every failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The handler's own code, or one of the reserved ones.
    pub code: String,
    /// What happened, never empty.
    pub message: String,
    /// The exception's type, where the handler gave it.
    pub kind: Option<String>,
    /// The handler's stack, where it gave one.
    pub traceback: Option<String>,
    /// Whatever else the handler gave.
    pub details: Option<wire::Json>,
}

impl Failure {
    /// A failure of ours.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), kind: None, traceback: None, details: None }
    }

    fn of(fault: Fault) -> Self {
        let code = fault.code.filter(|code| !code.is_empty());
        let message = [Some(fault.message), fault.kind.clone()].into_iter().flatten().find(|text| !text.is_empty());
        Self {
            code: code.unwrap_or_else(|| code::HANDLER_ERROR.to_owned()),
            message: message.unwrap_or_else(|| "the handler gave no message".to_owned()),
            kind: fault.kind,
            traceback: fault.traceback,
            details: fault.details,
        }
    }

    /// The record that goes to the error end.
    pub fn record(self, actor: &str, attempt: u32, at: Timestamp) -> ErrorRecord {
        let Self { code, message, kind, traceback, details } = self;
        ErrorRecord { code, message, kind, traceback, details, actor: actor.to_owned(), attempt, at }
    }
}

impl Policy {
    /// Whether the handler may be called at all for a message that was delivered this often.
    ///
    /// # Errors
    /// The failure, when the message used up its deliveries.
    pub fn admit(&self, tries: Tries) -> Result<(), Failure> {
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
        Err(Failure::new(code::ATTEMPTS_EXHAUSTED, message))
    }

    /// What becomes of a message whose exchange ended like this. `chance` is a number from 0 to 1, for the jitter.
    pub fn after(&self, ending: Ending, tries: Tries, chance: f64) -> Fate {
        let fate = match ending {
            Ending::Replied(Reply::Fault(fault)) => self.after_fault(fault, tries, chance),
            Ending::Replied(reply) => Fate::Forward(reply.parts()),
            Ending::Unreachable | Ending::Cut => Fate::Again(Again::UNCOUNTED),
            Ending::Lost | Ending::TimedOut { clock: Clock::Probe, .. } => {
                Fate::Again(Again::lost(lost_backoff().delay(tries.deliveries.unwrap_or(1), chance)))
            }
            Ending::TimedOut { clock: Clock::Deadline, .. } => {
                Fate::Bury(Failure::new(code::DEADLINE_EXCEEDED, "the deadline passed while the handler was working"))
            }
            Ending::TimedOut { after, clock: Clock::Timeout } => {
                Fate::Bury(Failure::new(code::TIMEOUT, format!("the handler did not reply within {after:?}")))
            }
            Ending::TimedOut { after, clock: Clock::Idle } => {
                Fate::Bury(Failure::new(code::TIMEOUT, format!("the handler was silent for {after:?}")))
            }
            Ending::BadReply(why) => Fate::Bury(Failure::new(code::BAD_REPLY, why)),
            Ending::FrameTooLarge(why) => Fate::Bury(Failure::new(code::FRAME_TOO_LARGE, why)),
        };
        match (self.kind, fate) {
            (Kind::End, Fate::Bury(failure)) => self.keep_at_end(&failure, tries, chance),
            (_, fate) => fate,
        }
    }

    /// What an end actor does with a failure: it has nowhere else to go.
    pub fn keep_at_end(&self, _failure: &Failure, tries: Tries, chance: f64) -> Fate {
        let delay = self.backoff().delay(tries.attempt, chance);
        Fate::Again(Again::attempt(tries.attempt.saturating_add(1), delay))
    }

    fn after_fault(&self, fault: Fault, tries: Tries, chance: f64) -> Fate {
        let wanted = match self.retry {
            Some(_) => fault.retryable != Some(false),
            None => fault.retryable == Some(true),
        };
        let attempts = self.retry.unwrap_or_default().attempts.get();
        if !wanted || tries.attempt >= attempts {
            return Fate::Bury(Failure::of(fault));
        }
        let delay = self.backoff().delay(tries.attempt, chance).max(fault.retry_after.unwrap_or_default());
        Fate::Again(Again::attempt(tries.attempt + 1, delay))
    }

    fn backoff(&self) -> Backoff {
        let retry = self.retry.unwrap_or_default();
        Backoff::new(retry.backoff.into(), retry.max_backoff.into())
    }
}

/// After a lost connection: 1 s doubling to 60 s.
fn lost_backoff() -> Backoff {
    Backoff::new(Duration::from_secs(1), Duration::from_secs(60))
}
