//! One queue's messages and the rules for handing them out.
//!
//! Pure but for the clock that it is given: no waiting, no locks. A message keeps its position for life, so one that
//! is put back stands where it stood.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Notify, time::Instant};

use crate::{Again, Browsed, QueueStats, Retention, Tally};

/// The messages of one queue, each in exactly one of ready, delayed and in flight.
#[derive(Debug, Default)]
pub(super) struct Line {
    messages: BTreeMap<u64, Message>,
    ready: BTreeSet<u64>,
    delayed: BTreeSet<(Instant, u64)>,
    last_position: u64,
    retention: Retention,
    /// Consumers connected; a line with one is never trimmed.
    consumers: u64,
    /// The consumer that took last, so that it lets the others go first.
    last_taker: Option<u64>,
    /// Told once for each message that becomes ready, and all at once when a message gets a date.
    arrived: Arc<Notify>,
}

#[derive(Debug)]
struct Message {
    body: Bytes,
    put_at: Instant,
    attempt: Option<u32>,
    deliveries: u32,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Ready,
    Delayed(Instant),
    InFlight,
}

/// A message that was just taken out of the ready ones.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) position: u64,
    pub(super) body: Bytes,
    pub(super) tally: Tally,
}

impl Line {
    pub(super) fn arrived(&self) -> Arc<Notify> {
        Arc::clone(&self.arrived)
    }

    /// Wakes one consumer if there is something to take: for one that was woken and must not take.
    pub(super) fn pass_on(&self) {
        if !self.ready.is_empty() {
            self.arrived.notify_one();
        }
    }

    pub(super) fn keep(&mut self, retention: Retention, now: Instant) {
        self.retention = retention;
        self.trim(now);
    }

    pub(super) fn join(&mut self, now: Instant) {
        self.trim(now);
        self.consumers += 1;
    }

    pub(super) fn leave(&mut self, now: Instant) {
        self.consumers -= 1;
        self.trim(now);
        self.pass_on();
    }

    pub(super) fn put(&mut self, body: Bytes, now: Instant) {
        self.last_position += 1;
        let message = Message {
            body,
            put_at: now,
            attempt: None,
            deliveries: 0,
            place: Place::Ready,
        };
        self.messages.insert(self.last_position, message);
        self.ready.insert(self.last_position);
        self.arrived.notify_one();
        self.trim(now);
    }

    /// The oldest message that may be taken, for a consumer.
    pub(super) fn take(&mut self, taker: u64, now: Instant) -> Option<Claimed> {
        self.wake_delayed(now);
        let position = *self.ready.first()?;
        self.last_taker = Some(taker);
        self.claim(position)
    }

    /// The message at a position, unless somebody holds it.
    pub(super) fn claim(&mut self, position: u64) -> Option<Claimed> {
        let message = self.messages.get_mut(&position)?;
        match message.place {
            Place::Ready => self.ready.remove(&position),
            Place::Delayed(due) => self.delayed.remove(&(due, position)),
            Place::InFlight => return None,
        };
        message.place = Place::InFlight;
        message.deliveries = message.deliveries.saturating_add(1);
        let tally = Tally {
            attempt: message.attempt,
            deliveries: Some(message.deliveries),
        };
        Some(Claimed {
            position,
            body: message.body.clone(),
            tally,
        })
    }

    /// A message in flight is finished. False where there is none.
    pub(super) fn finish(&mut self, position: u64) -> bool {
        self.messages.remove(&position).is_some()
    }

    /// A message in flight goes back. False where there is none.
    pub(super) fn put_back(&mut self, position: u64, how: Again, now: Instant) -> bool {
        let Some(message) = self.messages.get_mut(&position) else {
            return false;
        };
        if !how.counted {
            message.deliveries = message.deliveries.saturating_sub(1);
        }
        message.attempt = how.attempt.or(message.attempt);
        // A date that no clock reaches is never.
        let due = now.checked_add(how.after).unwrap_or(now + FAR);
        if due > now {
            message.place = Place::Delayed(due);
            self.delayed.insert((due, position));
            self.arrived.notify_waiters();
        } else {
            message.place = Place::Ready;
            self.ready.insert(position);
            self.arrived.notify_one();
        }
        self.trim(now);
        true
    }

    /// When the next delayed message has its turn.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.delayed.first().map(|(due, _)| *due)
    }

    /// Whether this consumer took last and there are others who might want the next one.
    pub(super) fn others_first(&self, taker: u64) -> bool {
        self.consumers > 1 && self.last_taker == Some(taker)
    }

    pub(super) fn browse(&mut self, after: Option<u64>, limit: usize, now: Instant) -> Vec<Browsed> {
        self.trim(now);
        let from = after.map_or(0, |position| position.saturating_add(1));
        self.messages
            .range(from..)
            .take(limit)
            .map(|(position, message)| Browsed {
                position: *position,
                body: message.body.clone(),
                in_flight: message.place == Place::InFlight,
            })
            .collect()
    }

    pub(super) fn stats(&mut self, name: &Arc<str>, now: Instant) -> QueueStats {
        self.wake_delayed(now);
        self.trim(now);
        let (ready, delayed) = (self.ready.len() as u64, self.delayed.len() as u64);
        QueueStats {
            name: Arc::clone(name),
            depth: Some(ready),
            in_flight: Some(self.messages.len() as u64 - ready - delayed),
            delayed: Some(delayed),
            // Positions grow with time, so the first ready one is the oldest.
            oldest: self
                .ready
                .first()
                .map(|position| now.duration_since(self.messages[position].put_at)),
            consumers: Some(self.consumers),
        }
    }

    fn wake_delayed(&mut self, now: Instant) {
        while let Some(&(due, position)) = self.delayed.first()
            && due <= now
        {
            self.delayed.pop_first();
            if let Some(message) = self.messages.get_mut(&position) {
                message.place = Place::Ready;
                self.ready.insert(position);
            }
        }
    }

    fn trim(&mut self, now: Instant) {
        if self.consumers > 0 || self.retention == Retention::default() {
            return;
        }
        let mut surplus = self
            .retention
            .max
            .map_or(0, |max| (self.messages.len() as u64).saturating_sub(max));
        let mut gone = Vec::new();
        for (position, message) in &self.messages {
            let expired = self
                .retention
                .keep
                .is_some_and(|keep| now.duration_since(message.put_at) > keep);
            if surplus == 0 && !expired {
                break;
            }
            if message.place != Place::InFlight {
                surplus = surplus.saturating_sub(1);
                gone.push((*position, message.place));
            }
        }
        for (position, place) in gone {
            self.messages.remove(&position);
            self.ready.remove(&position);
            if let Place::Delayed(due) = place {
                self.delayed.remove(&(due, position));
            }
        }
    }
}

/// As far as tokio's timers go without overflowing: thirty years.
const FAR: Duration = Duration::from_hours(24 * 365 * 30);
