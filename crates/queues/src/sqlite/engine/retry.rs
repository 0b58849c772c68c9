//! What the disk refused and must still be done: settles and returns, tried again with backoff.

use std::{
    mem,
    time::{Duration, Instant},
};

use super::{
    super::{
        fault::Fault,
        protocol::{Reply, Request},
    },
    Engine, Work,
};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// The work that waits for the disk.
pub(super) struct Retry {
    stuck: Vec<Work>,
    at: Option<Instant>,
    pause: Duration,
}

impl Retry {
    pub(super) fn new() -> Self {
        Self {
            stuck: Vec::new(),
            at: None,
            pause: FIRST,
        }
    }

    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.stuck.is_empty()
    }

    pub(super) fn due(&mut self, now: Instant) -> Vec<Work> {
        if self.at.is_some_and(|at| at <= now) {
            self.at = None;
            return mem::take(&mut self.stuck);
        }
        Vec::new()
    }

    /// The disk took something.
    pub(super) fn succeeded(&mut self) {
        if self.stuck.is_empty() {
            if self.at.take().is_some() {
                tracing::info!("queue file can be written again");
            }
            self.pause = FIRST;
        }
    }

    /// The disk refused something: wait, longer each time.
    pub(super) fn later(&mut self, fault: &Fault) {
        if self.at.is_none() {
            tracing::warn!(?fault, pause = ?self.pause, "queue file cannot be written, trying again");
            self.at = Some(Instant::now() + self.pause);
            self.pause = (self.pause * 2).min(LONGEST);
        }
    }

    /// What waits for one connection.
    pub(super) fn take(&mut self, connection: u64) -> Vec<Work> {
        let is_its = |work: &mut Work| matches!(work, Work::Ask(asked) if asked.connection == connection);
        self.stuck.extract_if(.., is_its).collect()
    }

    pub(super) fn give_up(&mut self) -> Vec<Work> {
        self.at = None;
        mem::take(&mut self.stuck)
    }
}

impl Engine<'_> {
    /// One thing did not work, tried alone.
    pub(super) fn failed(&mut self, work: Work, fault: &Fault) {
        let keeps = match &work {
            Work::Ask(asked) => matches!(
                asked.request,
                Request::Settle { .. } | Request::Forward { .. } | Request::Present(_)
            ),
            Work::GiveBack(_) | Work::Forget(_) | Work::Trim(_) => true,
        };
        if keeps && fault.is_transient() {
            self.retry.stuck.push(work);
        } else if let Work::Ask(asked) = work {
            let reply = Reply::Refused(fault.clone());
            self.batch.replies.push((asked.connection, asked.id, reply));
            self.answer();
        }
    }
}
