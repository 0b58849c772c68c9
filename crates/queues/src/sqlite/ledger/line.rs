//! One queue of the ledger: its cursor over fresh messages and the places of all others.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use super::{Consumer, Held, Mark};
use crate::Retention;

/// Where a message is that was given out at least once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Place {
    Ready(Mark),
    /// Until a time in unix milliseconds.
    Delayed(u64, Mark),
    Held(Held),
}

/// A message that was never given out, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Fresh {
    pub(in super::super) number: u64,
    pub(in super::super) put_at: i64,
    pub(in super::super) body: Bytes,
}

/// What can be given out next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Next {
    /// This one.
    Message(u64),
    /// Fresh messages have to be read from the file first, from this number on.
    Load(u64),
    /// Nothing.
    Nothing,
}

/// One queue.
#[derive(Debug, Default)]
pub(in super::super) struct Line {
    pub(in super::super) name: Arc<str>,
    pub(in super::super) retention: Option<Retention>,
    /// The number of the next put.
    pub(in super::super) next: u64,
    /// Numbers below it may be used without a word in the file.
    pub(in super::super) reserved: u64,
    /// Every fresh message below it is in the window.
    pub(super) loaded: u64,
    pub(super) window: VecDeque<Fresh>,
    pub(super) places: HashMap<u64, Place>,
    ready: BTreeSet<u64>,
    /// Fresh messages; what was in the file at the start is added when it has been counted.
    pub(super) fresh: i64,
    held: u64,
    delayed: u64,
    pub(super) turn: VecDeque<Consumer>,
    pub(super) hot: bool,
}

impl Line {
    /// A queue as the file has it; its messages are read when they are wanted.
    pub(in super::super) fn new(name: Arc<str>, retention: Option<Retention>, next: u64) -> Self {
        Self {
            name,
            retention,
            next,
            reserved: next,
            ..Self::default()
        }
    }

    /// A queue that the file has no message of.
    pub(in super::super) fn empty(name: Arc<str>) -> Self {
        Self {
            loaded: 1,
            ..Self::new(name, None, 1)
        }
    }

    /// How many could be taken.
    pub(in super::super) fn depth(&self) -> u64 {
        u64::try_from(self.fresh).unwrap_or(0) + self.ready.len() as u64
    }

    pub(in super::super) fn held(&self) -> u64 {
        self.held
    }

    pub(in super::super) fn delayed(&self) -> u64 {
        self.delayed
    }

    pub(in super::super) fn consumers(&self) -> u64 {
        self.turn.len() as u64
    }

    /// Messages that have a place; the others in the file are fresh.
    pub(in super::super) fn placed(&self) -> u64 {
        self.places.len() as u64
    }

    /// Adds fresh messages that the file had at the start.
    pub(in super::super) fn count(&mut self, fresh: i64) {
        self.fresh += fresh;
    }

    /// When the message at the front of the window was put.
    pub(in super::super) fn window_put_at(&self, number: u64) -> Option<i64> {
        let front = self.window.front()?;
        (front.number == number).then_some(front.put_at)
    }

    pub(super) fn next(&self) -> Next {
        let fresh = self.window.front().map(|fresh| fresh.number);
        let unread = (fresh.is_none() && self.loaded < self.next).then_some(self.loaded);
        match (self.ready.first().copied(), fresh, unread) {
            (Some(ready), Some(fresh), _) => Next::Message(ready.min(fresh)),
            (Some(ready), None, Some(unread)) if ready < unread => Next::Message(ready),
            (_, None, Some(unread)) => Next::Load(unread),
            (Some(number), None, None) | (None, Some(number), _) => Next::Message(number),
            (None, None, None) => Next::Nothing,
        }
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Fresh> {
        if self.window.front().is_some_and(|fresh| fresh.number == number) {
            return self.window.pop_front();
        }
        let at = self.window.binary_search_by_key(&number, |fresh| fresh.number).ok()?;
        self.window.remove(at)
    }

    pub(super) fn insert(&mut self, fresh: Fresh) {
        let at = self.window.partition_point(|other| other.number < fresh.number);
        self.window.insert(at, fresh);
    }

    /// Forgets what was read from a number on, and answers the bytes that this frees.
    pub(super) fn unload(&mut self, number: u64) -> usize {
        let mut freed = 0;
        if number < self.loaded {
            self.loaded = number;
            while let Some(fresh) = self.window.pop_back_if(|fresh| fresh.number >= number) {
                freed += fresh.body.len();
            }
        }
        freed
    }

    pub(super) fn swap(&mut self, number: u64, place: Option<Place>) -> Option<Place> {
        let before = match place {
            Some(place) => self.places.insert(number, place),
            None => self.places.remove(&number),
        };
        match before {
            Some(Place::Ready(_)) => {
                self.ready.remove(&number);
            }
            Some(Place::Delayed(..)) => self.delayed -= 1,
            Some(Place::Held(_)) => self.held -= 1,
            None => {}
        }
        match place {
            Some(Place::Ready(_)) => {
                self.ready.insert(number);
            }
            Some(Place::Delayed(..)) => self.delayed += 1,
            Some(Place::Held(_)) => self.held += 1,
            None => {}
        }
        before
    }
}
