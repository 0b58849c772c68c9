//! What the pool tells the supervisor.
//!
//! The queue needs no bound of its own: an event that stands in it already moves to its end, so it holds at most one
//! of each kind for each member.

use std::collections::VecDeque;

use super::MemberId;

/// Something that happened to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It takes work from now on.
    Ready(MemberId),
    /// It was lost or could not be reached; it is down.
    Lost(MemberId),
    /// An exchange with it was ended before it had answered: it was too slow, or nobody waited any longer. Ours takes
    /// no more work: retire it and add a fresh one.
    TimedOut(MemberId),
}

impl Event {
    /// The member.
    pub fn member(self) -> MemberId {
        match self {
            Self::Ready(id) | Self::Lost(id) | Self::TimedOut(id) => id,
        }
    }
}

/// Events that nobody has taken yet.
#[derive(Debug, Default)]
pub(super) struct Events {
    waiting: VecDeque<Event>,
}

impl Events {
    pub(super) fn push(&mut self, event: Event) {
        self.waiting.retain(|other| *other != event);
        self.waiting.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.waiting.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The member is gone; what was to be said of it is of no use.
    pub(super) fn forget(&mut self, id: MemberId) {
        self.waiting.retain(|event| event.member() != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_happens_again_moves_to_the_end() {
        let (mut events, id) = (Events::default(), MemberId(1));
        for event in [Event::Ready(id), Event::Lost(id), Event::Ready(id)] {
            events.push(event);
        }
        assert_eq!(events.pop(), Some(Event::Lost(id)));
        assert_eq!(events.pop(), Some(Event::Ready(id)));
        assert_eq!(events.pop(), None);
    }

    #[test]
    fn what_a_removed_member_did_is_forgotten() {
        let mut events = Events::default();
        events.push(Event::Lost(MemberId(1)));
        events.push(Event::Ready(MemberId(2)));
        events.forget(MemberId(1));
        assert_eq!(events.pop(), Some(Event::Ready(MemberId(2))));
        assert!(events.is_empty());
    }
}
