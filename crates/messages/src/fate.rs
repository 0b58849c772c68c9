//! Decides what becomes of a message: whether its handler is called, and what follows from how that ended.
//!
//! Pure: no I/O, no clock, no chance; they come in as values. The rows of the table "What becomes of a message" in
//! the protocol are the arms of [`Policy::after`]; [`routing`](crate::routing) says where outputs go.

use std::time::Duration;

use chassis::{guard::Backoff, telemetry::in_full};
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
    Bury(Box<Fault>),
    /// Back into the queue.
    Again(Again),
}

impl Policy {
    /// Whether the handler may be called at all for a message that was delivered this often.
    ///
    /// # Errors
    /// The failure, when the message used up its deliveries.
    pub fn admit(&self, tries: Tries) -> Result<(), Box<Fault>> {
        let used_up = self.kind == Kind::Ordinary
            && self.max_deliveries > 0
            && tries
                .deliveries
                .is_some_and(|deliveries| deliveries > self.max_deliveries);
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
            Err(HandlerError::Timeout { .. } | HandlerError::Idle { .. }) if trial == Trial::Probe => {
                self.after_probe(tries, chance)
            }
            Err(error) => self.bury(fault(error.code(), in_full(&error)), tries, chance),
        }
    }

    /// The end of a message's way; at an end actor it has nowhere else to go, and is tried again.
    pub fn bury(&self, fault: Box<Fault>, tries: Tries, chance: f64) -> Fate {
        match self.kind {
            Kind::Ordinary => Fate::Bury(fault),
            Kind::End => {
                let delay = self.backoff().delay(tries.attempt, chance);
                Fate::Again(Again::attempt(tries.attempt.saturating_add(1), delay))
            }
        }
    }

    /// A probe that times out counts as a delivery, but never as the last one: no message goes to the error end because
    /// its handler is down.
    fn after_probe(&self, tries: Tries, chance: f64) -> Fate {
        let deliveries = tries.deliveries.unwrap_or(1);
        let counted = self.max_deliveries == 0 || deliveries < self.max_deliveries;
        let again = Again::lost(LOST.delay(deliveries, chance));
        Fate::Again(Again { counted, ..again })
    }

    fn after_fault(&self, fault: Fault, tries: Tries, chance: f64) -> Fate {
        let wanted = match self.retry {
            Some(_) => fault.retryable != Some(false),
            None => fault.retryable == Some(true),
        };
        let attempts = self.retry.unwrap_or_default().attempts.get();
        if !wanted || tries.attempt >= attempts {
            return self.bury(Box::new(fault), tries, chance);
        }
        let delay = self
            .backoff()
            .delay(tries.attempt, chance)
            .max(fault.retry_after.unwrap_or_default());
        Fate::Again(Again::attempt(tries.attempt + 1, delay))
    }

    fn backoff(&self) -> Backoff {
        let retry = self.retry.unwrap_or_default();
        Backoff::new(retry.backoff.into(), retry.max_backoff.into())
    }
}

/// A failure of ours.
pub(crate) fn fault(code: &str, message: impl Into<String>) -> Box<Fault> {
    Box::new(Fault {
        code: Some(code.to_owned()),
        ..Fault::new(message)
    })
}

/// After a lost connection.
const LOST: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));

#[cfg(test)]
mod tests {
    use std::{io, num::NonZeroU32};

    use proptest::prelude::*;

    use super::*;

    fn policy(retry: Option<Retry>) -> Policy {
        Policy {
            retry,
            max_deliveries: 3,
            kind: Kind::Ordinary,
        }
    }

    fn three_attempts() -> Policy {
        policy(Some(Retry {
            attempts: NonZeroU32::new(3).expect("three is not zero"),
            ..Retry::default()
        }))
    }

    fn tries(attempt: u32) -> Tries {
        Tries {
            attempt,
            deliveries: Some(1),
        }
    }

    fn fails(retryable: Option<bool>) -> Reply {
        Reply::Fault(Fault {
            retryable,
            ..Fault::new("no model")
        })
    }

    fn lost() -> HandlerError {
        HandlerError::Lost {
            handler: "h".into(),
            source: io::ErrorKind::ConnectionReset.into(),
        }
    }

    fn after(policy: Policy, ending: Result<Reply, HandlerError>, tries: Tries) -> Fate {
        policy.after(ending, Trial::Ordinary, tries, 0.0)
    }

    fn code(fate: &Fate) -> Option<&str> {
        match fate {
            Fate::Bury(fault) => Some(fault.code.as_deref().unwrap_or(code::HANDLER_ERROR)),
            _ => None,
        }
    }

    fn again(fate: &Fate) -> Option<Again> {
        match fate {
            Fate::Again(again) => Some(*again),
            _ => None,
        }
    }

    #[test]
    fn without_a_retry_policy_only_an_error_that_says_so_is_tried_again() {
        assert_eq!(
            code(&after(policy(None), Ok(fails(None)), tries(1))),
            Some("handler_error")
        );
        assert_eq!(
            code(&after(policy(None), Ok(fails(Some(false))), tries(1))),
            Some("handler_error")
        );
        let first = again(&after(policy(None), Ok(fails(Some(true))), tries(1))).expect("tried again");
        assert_eq!(
            (first.attempt, first.counted, first.after),
            (Some(2), false, Duration::from_secs(1))
        );
        assert!(again(&after(policy(None), Ok(fails(Some(true))), tries(4))).is_some());
        assert_eq!(
            code(&after(policy(None), Ok(fails(Some(true))), tries(5))),
            Some("handler_error"),
            "five in all"
        );
    }

    #[test]
    fn with_a_retry_policy_every_error_is_tried_again_but_one_that_refuses() {
        assert!(again(&after(three_attempts(), Ok(fails(None)), tries(2))).is_some());
        assert_eq!(
            code(&after(three_attempts(), Ok(fails(None)), tries(3))),
            Some("handler_error")
        );
        assert_eq!(
            code(&after(three_attempts(), Ok(fails(Some(false))), tries(1))),
            Some("handler_error")
        );
    }

    #[test]
    fn a_handlers_own_wish_raises_the_delay_and_never_lowers_it() {
        let wish = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            let fault = Fault {
                retryable: Some(true),
                retry_after,
                ..Fault::new("later")
            };
            again(&after(policy(None), Ok(Reply::Fault(fault)), tries(3)))
                .expect("tried again")
                .after
        };
        assert_eq!(wish(90), Duration::from_secs(90));
        assert_eq!(wish(1), Duration::from_secs(4));
    }

    #[test]
    fn a_lost_connection_counts_as_a_delivery_and_waits_longer_each_time() {
        let delay = |deliveries| {
            let tries = Tries {
                attempt: 2,
                deliveries: Some(deliveries),
            };
            let again = again(&after(policy(None), Err(lost()), tries)).expect("put back");
            assert!(again.counted);
            assert_eq!(again.attempt, None, "the attempt stays");
            again.after.as_secs()
        };
        assert_eq!([1, 2, 3].map(delay), [1, 2, 4]);
        assert!((40..=60).contains(&delay(30)));
    }

    #[test]
    fn what_was_never_written_counts_as_nothing() {
        let refused = HandlerError::Unreachable {
            handler: "h".into(),
            source: io::ErrorKind::ConnectionRefused.into(),
        };
        assert_eq!(
            again(&after(policy(None), Err(refused), tries(1))),
            Some(Again::UNCOUNTED)
        );
    }

    #[test]
    fn a_timeout_is_terminal_even_with_a_retry_policy_and_a_probe_that_times_out_is_put_back() {
        let timeout = || HandlerError::Timeout {
            handler: "h".into(),
            after: Duration::from_secs(1),
        };
        assert_eq!(
            code(&after(three_attempts(), Err(timeout()), tries(1))),
            Some("timeout")
        );
        let probe = three_attempts().after(Err(timeout()), Trial::Probe, tries(1), 0.0);
        assert!(again(&probe).expect("put back").counted);
        let last = Tries {
            attempt: 1,
            deliveries: Some(3),
        };
        let probe = three_attempts().after(Err(timeout()), Trial::Probe, last, 0.0);
        assert!(
            !again(&probe).expect("put back").counted,
            "the handler is down, not the message bad"
        );
    }

    #[test]
    fn a_message_whose_deliveries_never_finish_is_called_as_often_as_allowed_and_no_more() {
        let at = |deliveries| policy(None).admit(Tries { attempt: 1, deliveries });
        assert!(at(Some(3)).is_ok());
        assert_eq!(at(Some(4)).unwrap_err().code.as_deref(), Some(code::ATTEMPTS_EXHAUSTED));
        assert!(at(None).is_ok(), "a queue that does not count sets no limit");
        let unlimited = Policy {
            max_deliveries: 0,
            ..policy(None)
        };
        assert!(
            unlimited
                .admit(Tries {
                    attempt: 1,
                    deliveries: Some(1000)
                })
                .is_ok()
        );
    }

    proptest! {
        #[test]
        fn nothing_ever_leaves_an_end_actor(kind in 0..5, attempt in 1_u32..1000, deliveries in 1_u32..1000) {
            let ending = match kind {
                0 => Ok(fails(None)),
                1 => Ok(fails(Some(true))),
                2 => Err(lost()),
                3 => Err(HandlerError::Timeout { handler: "h".into(), after: Duration::from_secs(1) }),
                _ => Err(HandlerError::Deadline { handler: "h".into(), after: Duration::ZERO }),
            };
            let end = Policy { kind: Kind::End, ..three_attempts() };
            let tries = Tries { attempt, deliveries: Some(deliveries) };
            prop_assert!(end.admit(tries).is_ok());
            let fate = after(end, ending, tries);
            prop_assert!(matches!(fate, Fate::Again(_)), "{fate:?}");
        }
    }
}
