//! Who is connected, who holds something, and when a holder is gone or was silent for too long.
//!
//! A holder that died is told by its lock file and gives back at once. One that lives but is silent keeps what it has
//! until its lease ran out. The writer's own process needs no lease: it lives as long as we do.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    super::{
        fault::Fault,
        ledger::{Consumer, Held, Ledger, Place},
        protocol::{Answer, Claim, Reply, UNASKED},
    },
    Engine, Sink, Work,
};
use crate::Again;

/// The writer was held up for so long that renewals may wait unread.
const STALL: Duration = Duration::from_secs(1);
/// The first and the longest pause between looks at the lock file of a holder that is not connected.
const PROBE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// When a connection was last heard of; set by whoever reads it.
pub(in super::super) struct Heard {
    start: Instant,
    millis: AtomicU64,
}

/// Everyone the writer knows.
pub(super) struct Holders {
    sessions: HashMap<u64, Session>,
    known: HashMap<u64, Holder>,
    /// No lease ends earlier than one lease after it.
    floor: Instant,
}

struct Session {
    holder: u64,
    sink: Arc<dyn Sink>,
    heard: Option<Arc<Heard>>,
}

struct Holder {
    connection: Option<u64>,
    /// When it was last heard of, while it is not connected.
    since: Instant,
    probe: (Instant, Duration),
}

impl Heard {
    pub(in super::super) fn new() -> Self {
        Self {
            start: Instant::now(),
            millis: AtomicU64::new(0),
        }
    }

    /// It was heard of now.
    pub(in super::super) fn beat(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }

    fn at(&self) -> Instant {
        self.start + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

impl Holders {
    /// The holders of the claims that stand in the file; none of them is connected yet.
    pub(super) fn new(known: impl IntoIterator<Item = u64>) -> Self {
        let now = Instant::now();
        Self {
            sessions: HashMap::new(),
            known: known.into_iter().map(|holder| (holder, Holder::away(now))).collect(),
            floor: now,
        }
    }

    pub(super) fn of(&self, connection: u64) -> Option<u64> {
        self.sessions.get(&connection).map(|session| session.holder)
    }

    pub(super) fn sink(&self, connection: u64) -> Option<Arc<dyn Sink>> {
        self.sessions.get(&connection).map(|session| session.sink.clone())
    }

    pub(super) fn connection(&self, holder: u64) -> Option<u64> {
        self.known.get(&holder)?.connection
    }

    pub(super) fn is_remote(&self, connection: u64) -> bool {
        let session = self.sessions.get(&connection);
        session.is_some_and(|session| session.heard.is_some())
    }

    pub(super) fn send(&self, connection: u64, answers: Vec<Answer>) {
        if let Some(session) = self.sessions.get(&connection) {
            session.sink.send(answers);
        }
    }

    /// Tells everyone that nothing goes any more, asked or not.
    pub(super) fn tell_all(&self, fault: &Fault) {
        for session in self.sessions.values() {
            session
                .sink
                .send(vec![Answer::Reply(UNASKED, Reply::Refused(fault.clone()))]);
        }
    }

    /// Gives every lease its full time again where the writer itself was held up.
    pub(super) fn stalled(&mut self, expected: Instant, now: Instant) {
        if now.saturating_duration_since(expected) > STALL {
            self.floor = now;
        }
    }

    /// When the next lease ends or the next lock file is looked at.
    pub(super) fn at(&self, lease: Duration, now: Instant, ledger: &Ledger) -> Option<Instant> {
        let times = self.known.iter().filter_map(|(id, holder)| {
            let holds = ledger.holding(*id) > 0;
            match holder.connection {
                Some(connection) if holds => Some(self.heard(connection)?.max(self.floor) + lease),
                Some(_) => None,
                None if holds => Some(holder.probe.0.min(holder.since.max(self.floor) + lease)),
                None => Some(holder.probe.0),
            }
        });
        times.min().map(|at| at.max(now))
    }

    fn heard(&self, connection: u64) -> Option<Instant> {
        Some(self.sessions.get(&connection)?.heard.as_ref()?.at())
    }
}

impl Holder {
    fn away(since: Instant) -> Self {
        Self {
            connection: None,
            since,
            probe: (since, PROBE.0),
        }
    }
}

impl Engine<'_> {
    pub(super) fn join(&mut self, connection: u64, holder: u64, sink: Arc<dyn Sink>, heard: Option<Arc<Heard>>) {
        if let Some(before) = self.holders.connection(holder) {
            self.leave(before);
        }
        self.holders
            .sessions
            .insert(connection, Session { holder, sink, heard });
        let known = self.holders.known.entry(holder);
        known.or_insert_with(|| Holder::away(Instant::now())).connection = Some(connection);
    }

    pub(super) fn leave(&mut self, connection: u64) {
        let Some(session) = self.holders.sessions.remove(&connection) else {
            return;
        };
        session.sink.cut();
        drop(self.retry.take(connection));
        let since = session.heard.map_or_else(Instant::now, |heard| heard.at());
        if let Some(known) = self.holders.known.get_mut(&session.holder)
            && known.connection == Some(connection)
        {
            *known = Holder {
                since,
                ..Holder::away(Instant::now())
            };
            for consumer in self.ledger.consumers_of(session.holder) {
                self.end(consumer);
            }
        }
    }

    pub(super) fn end(&mut self, consumer: Consumer) {
        if let Some(line) = self.ledger.end(consumer) {
            let it = self.ledger.line(line);
            if it.retention.is_some() && it.consumers() == 0 {
                self.trims.soon(line);
            }
        }
    }

    /// What the clock asks for: leases that ended, holders that died.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Work> {
        let lease = self.parts.lease;
        let due = self.holders.at(lease, now, &self.ledger);
        if due.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let mut work = Vec::new();
        let mut silent = Vec::new();
        let mut dead = Vec::new();
        let floor = self.holders.floor;
        let Holders { sessions, known, .. } = &mut self.holders;
        for (id, holder) in known.iter_mut() {
            let holds = self.ledger.holding(*id) > 0;
            if let Some(connection) = holder.connection {
                let heard = sessions.get(&connection).and_then(|session| session.heard.as_ref());
                if holds && heard.is_some_and(|heard| heard.at().max(floor) + lease <= now) {
                    silent.push(connection);
                    work.push(Work::GiveBack(*id));
                }
                continue;
            }
            if holder.probe.0 <= now {
                if self.parts.files.is_dead(*id) {
                    dead.push(*id);
                    work.push(Work::GiveBack(*id));
                    work.push(Work::Forget(*id));
                    continue;
                }
                let pause = (holder.probe.1 * 2).min(PROBE.1);
                holder.probe = (now + pause, pause);
            }
            if holds && holder.since.max(floor) + lease <= now {
                work.push(Work::GiveBack(*id));
            }
        }
        for id in dead {
            self.holders.known.remove(&id);
        }
        for connection in silent {
            tracing::warn!(
                connection,
                "a process is silent for longer than its lease, its messages go back"
            );
            self.leave(connection);
        }
        work
    }

    /// Gives back all that a holder has, counted; its tokens are void.
    pub(super) fn give_back(&mut self, holder: u64) -> Result<(), rusqlite::Error> {
        for (seq, mut held) in self.ledger.held_by(holder) {
            held.mark.token = 0;
            self.put_back(seq, held.mark, Again::lost(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Forgets the requests of a holder that is gone.
    pub(super) fn forget(&mut self, holder: u64) -> Result<(), rusqlite::Error> {
        if self.remembered.knows(holder) {
            self.write()?;
            self.store.forget(holder, u64::MAX)?;
            self.remembered.forget(holder, u64::MAX);
        }
        self.ledger.dismiss(holder);
        Ok(())
    }

    /// A holder came back: what it knows of stays its own, what never reached it goes back.
    pub(super) fn present(&mut self, holder: u64, listed: &[(Claim, u64)]) -> Result<Reply, rusqlite::Error> {
        let listed: HashMap<Claim, u64> = listed.iter().copied().collect();
        for (seq, held) in self.ledger.held_by(holder) {
            let token = held.mark.token;
            match listed.get(&Claim { seq, token }) {
                Some(number) if *number != held.by.number => {
                    let by = Consumer {
                        holder,
                        number: *number,
                    };
                    self.ledger.set(seq, Some(Place::Held(Held { by, ..held })));
                }
                Some(_) => {}
                None => self.put_back(seq, held.mark, Again::UNCOUNTED)?,
            }
        }
        Ok(Reply::Done)
    }
}
