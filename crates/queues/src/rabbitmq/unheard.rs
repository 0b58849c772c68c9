//! Acknowledgements that the broker may not have heard.
//!
//! AMQP does not answer an acknowledgement: one that was on its way when its channel was lost is lost with it, and the message comes
//! again though it was finished. So what was acknowledged is remembered until the broker has answered a later question on the same
//! channel, as it reads in order; what is left when the channel is lost is acknowledged again when it comes again.
//!
//! The one rule: **a message is known again by what nobody else has.** It has to be delivered again, and to have the same
//! `message-id`, length and bytes at both ends; one without an id is worked on anew.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::hold::Came;

/// What a message is known again by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Likeness {
    queue: Arc<str>,
    id: Arc<str>,
    size: usize,
    ends: u64,
}

impl Likeness {
    pub(super) fn new(queue: &Arc<str>, id: &Arc<str>, body: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        let (head, rest) = body.split_at(body.len().min(END));
        head.hash(&mut hasher);
        rest[rest.len().saturating_sub(END)..].hash(&mut hasher);
        Self {
            queue: Arc::clone(queue),
            id: Arc::clone(id),
            size: body.len(),
            ends: hasher.finish(),
        }
    }

    /// That of a delivery which may be one that was acknowledged.
    pub(super) fn of(came: &Came<'_>) -> Option<Self> {
        // The copy of a parked message has its own way.
        let id = came.id.filter(|_| came.redelivered && !came.is_copy)?;
        Some(Self::new(&came.queue.into(), &id.into(), came.body))
    }
}

/// What a channel has acknowledged and the broker may not have heard, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Unheard {
    messages: VecDeque<Likeness>,
    since: Option<Instant>,
}

impl Unheard {
    /// It was acknowledged.
    pub(super) fn add(&mut self, message: Likeness) {
        self.since.get_or_insert_with(Instant::now);
        self.messages.push_back(message);
    }

    /// When the broker is to be asked whether it has heard.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + PAUSE)
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// It has heard the first so many.
    pub(super) fn heard(&mut self, count: usize) {
        self.messages.drain(..count.min(self.messages.len()));
        self.since = (!self.messages.is_empty()).then(Instant::now);
    }

    /// All of it, where the channel is lost.
    pub(super) fn take(&mut self) -> VecDeque<Likeness> {
        self.since = None;
        std::mem::take(&mut self.messages)
    }
}

/// What was acknowledged on channels that were lost.
#[derive(Debug, Default)]
pub(super) struct Finished {
    messages: Mutex<HashMap<Likeness, Instant>>,
}

impl Finished {
    pub(super) fn add(&self, messages: impl IntoIterator<Item = Likeness>) {
        let mut known = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        known.retain(|_, since| now.duration_since(*since) < KEPT);
        known.extend(messages.into_iter().map(|message| (message, now)));
    }

    /// Whether a delivery is one of them; it is no more then.
    pub(super) fn has(&self, came: &Came<'_>) -> bool {
        let mut known = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        // Mostly there is none, and then nothing is to be compared.
        !known.is_empty() && Likeness::of(came).is_some_and(|message| known.remove(&message).is_some())
    }
}

/// How much of each end of a body is compared.
const END: usize = 4096;
/// After an acknowledgement, before the broker is asked whether it has heard: of what was acknowledged meanwhile, too.
const PAUSE: Duration = Duration::from_secs(1);
/// How long it is remembered: longer than a broker takes to be there again.
const KEPT: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn came<'a>(id: Option<&'a str>, body: &'a [u8]) -> Came<'a> {
        Came {
            queue: "work",
            body,
            id,
            redelivered: true,
            is_copy: false,
            tag: 1,
        }
    }

    #[test]
    fn a_message_is_known_again_once() {
        let finished = Finished::default();
        finished.add([Likeness::new(&"work".into(), &"1".into(), b"body")]);
        for other in [
            came(Some("2"), b"body"),
            came(None, b"body"),
            came(Some("1"), b"bode"),
            Came {
                queue: "other",
                ..came(Some("1"), b"body")
            },
            Came {
                redelivered: false,
                ..came(Some("1"), b"body")
            },
            Came {
                is_copy: true,
                ..came(Some("1"), b"body")
            },
        ] {
            assert!(!finished.has(&other), "{other:?}");
        }
        assert!(finished.has(&came(Some("1"), b"body")));
        assert!(!finished.has(&came(Some("1"), b"body")));
    }

    #[test]
    fn what_was_heard_is_forgotten_and_what_came_later_is_not() {
        let mut unheard = Unheard::default();
        let message = |id: &str| Likeness::new(&"work".into(), &id.into(), b"");
        assert_eq!(unheard.due(), None);
        unheard.add(message("1"));
        let asked = unheard.len();
        unheard.add(message("2"));
        unheard.heard(asked);
        assert!(unheard.due().is_some());
        assert_eq!(unheard.take(), [message("2")]);
        assert_eq!(unheard.due(), None);
    }
}
