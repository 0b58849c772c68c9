//! The owner's writer: the one thread that changes the file.
//!
//! It blocks for the first request, takes along whatever came with it, does all of it in one transaction together with
//! the claims that it makes possible, syncs once, and then answers. Nothing is answered before it is in the file. A
//! transaction that the disk refuses is undone in memory too, and its parts are tried alone.

mod apply;
mod give;
mod holders;
mod load;
mod mail;
mod retry;
#[cfg(test)]
mod tests;
mod trim;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    fault::Fault,
    holder::HolderFiles,
    ledger::Ledger,
    mailbox::{Mailbox, Woken},
    protocol::{Answer, Reply, Request},
    reader::{Job, Reader},
    store::Store,
};
use crate::Retention;
use holders::Holders;
use retry::Retry;
use trim::Trims;

use mail::Work;

pub(super) use holders::Heard;
pub(super) use mail::{Asked, Mail, Sink, Staged};

/// Bodies of fresh messages that are kept in memory, in bytes.
const CACHE_BYTES: usize = 16 << 20;

/// How long a gathering goes on without news.
const GLANCE: Duration = Duration::from_micros(5);

/// How long the writer looks for the next request before it sleeps, right after it gave an answer.
const LINGER: Duration = Duration::from_micros(30);

/// The parts that an engine works with.
pub(super) struct Parts {
    pub(super) path: PathBuf,
    pub(super) lease: Duration,
    pub(super) mailbox: Arc<Mailbox<Mail>>,
    pub(super) files: HolderFiles,
}

/// The state of the writer.
pub(super) struct Engine<'db> {
    parts: Parts,
    store: Store<'db>,
    reader: Reader,
    ledger: Ledger,
    names: HashMap<Arc<str>, usize>,
    holders: Holders,
    trims: Trims,
    retry: Retry,
    /// The last token given out.
    token: u64,
    /// Requests of other processes that were done, by holder.
    remembered: apply::Remembered,
    batch: Batch,
    /// Stats that were asked for before everything was counted.
    uncounted: Option<load::Uncounted>,
    watch: load::FileWatch,
    broken: Option<Fault>,
    crashed: bool,
    alone: Alone,
    /// The last batch answered somebody.
    answered: bool,
    failing: u32,
}

/// Whether there is only one processor: then looking instead of sleeping keeps everyone else from working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alone {
    Yes,
    No,
}

/// What one transaction has come to so far.
#[derive(Default)]
struct Batch {
    begun: bool,
    given: Vec<(u64, Answer)>,
    replies: Vec<(u64, u64, Reply)>,
    stats: Vec<Asked>,
    retention: Vec<(usize, Retention)>,
    put: Vec<usize>,
    lines: usize,
}

impl Engine<'_> {
    /// Works until it is told to stop.
    pub(super) fn run(&mut self) {
        let mut mails = Vec::new();
        loop {
            let until = self.next_time();
            if self.alone == Alone::No && self.answered && self.ledger.held() > 0 {
                // Who was just answered often asks again at once: a short look saves both sides a sleep.
                self.parts.mailbox.glance(0, LINGER);
            }
            let asleep = Instant::now();
            let woken = self.parts.mailbox.drain(&mut mails, until);
            if self.alone == Alone::No && woken == Woken::Items {
                self.gather(&mut mails);
            }
            let now = Instant::now();
            self.holders.stalled(until.unwrap_or(now).max(asleep), now);
            if woken == Woken::Closed || !self.turn(&mut mails) {
                break;
            }
            self.holders.stalled(now, Instant::now());
        }
        if !self.crashed {
            self.finish();
        }
    }

    /// Lets those who were just answered come along, as long as more settles may come and some do.
    ///
    /// Bounded by [`GLANCE`] without news. With one message in flight there is nobody to look for.
    fn gather(&self, mails: &mut Vec<Mail>) {
        let most = usize::try_from(self.ledger.held()).unwrap_or(usize::MAX);
        let mut seen = 0;
        while mails.len() + seen < most && self.parts.mailbox.glance(seen, GLANCE) {
            seen = self.parts.mailbox.waiting();
        }
        if seen > 0 {
            self.parts.mailbox.take(mails);
        }
    }

    /// One batch; whether to go on.
    fn turn(&mut self, mails: &mut Vec<Mail>) -> bool {
        self.answered = false;
        let mut work = Vec::with_capacity(mails.len());
        let mut go_on = true;
        for mail in mails.drain(..) {
            match mail {
                Mail::Joined {
                    connection,
                    holder,
                    sink,
                    heard,
                } => {
                    // What came before is done first: it may be the last word of a connection.
                    self.flush(&mut work);
                    self.join(connection, holder, sink, heard);
                }
                Mail::Left(connection) => {
                    self.flush(&mut work);
                    self.leave(connection);
                }
                Mail::Asked(asked) => {
                    if matches!(asked.request, Request::Leave) {
                        work.extend(self.retry.take(asked.connection));
                    }
                    work.push(Work::Ask(asked));
                }
                Mail::Counted(Ok(rows)) => work.extend(self.counted(&rows)),
                Mail::Counted(Err(fault)) => self.broken = Some(fault),
                Mail::Stop => go_on = false,
                Mail::Staged(Staged::Crash) => {
                    self.crashed = true;
                    return false;
                }
                Mail::Staged(Staged::FailSettles(times)) => self.failing = times,
            }
        }
        if self.broken.is_none()
            && let Err(fault) = self.watch.check(&self.parts.path)
        {
            tracing::error!(path = %self.parts.path.display(), "queue file was deleted or replaced while in use");
            self.holders.tell_all(&fault);
            self.broken = Some(fault);
        }
        if self.broken.is_some() {
            self.flush(&mut work);
            return go_on;
        }
        self.ledger.wake(unix_millis());
        self.ledger.commit();
        let now = Instant::now();
        work.extend(self.overdue(now));
        work.extend(self.trims.due(now));
        work.extend(self.retry.due(now));
        if !work.is_empty() || self.ledger.is_hot() {
            self.transact(work);
        }
        go_on
    }

    fn flush(&mut self, work: &mut Vec<Work>) {
        let work = std::mem::take(work);
        match self.broken.clone() {
            Some(fault) => self.refuse(work, &fault),
            None if work.is_empty() => {}
            None => self.transact(work),
        }
    }

    /// When there is something to do without being asked.
    fn next_time(&self) -> Option<Instant> {
        if self.broken.is_some() {
            return None;
        }
        let now = Instant::now();
        let wake = self.ledger.first_due().map(|due| {
            let left = due.saturating_sub(unix_millis());
            // The wall clock may be set meanwhile.
            now + Duration::from_millis(left).min(Duration::from_mins(1))
        });
        let hot = (self.ledger.is_hot() && self.retry.at().is_none()).then_some(now);
        let times = [
            wake,
            hot,
            self.retry.at(),
            self.trims.at(),
            Some(self.watch.at()),
            self.holders.at(self.parts.lease, now, &self.ledger),
        ];
        times.into_iter().flatten().min()
    }

    /// Does it all in one transaction, or each part alone where that fails.
    fn transact(&mut self, work: Vec<Work>) {
        let Err(error) = self.attempt(&work, true) else {
            self.retry.succeeded();
            return;
        };
        let mut last = Fault::of(&error, "write to the queue file");
        if work.len() > 1 {
            for one in work {
                if let Err(error) = self.attempt(std::slice::from_ref(&one), false) {
                    last = Fault::of(&error, "write to the queue file");
                    self.failed(one, &last);
                }
            }
            if self.ledger.is_hot()
                && let Err(error) = self.attempt(&[], true)
            {
                last = Fault::of(&error, "write to the queue file");
            }
        } else {
            for one in work {
                self.failed(one, &last);
            }
        }
        if last.is_transient() {
            if self.ledger.is_hot() || self.retry.is_waiting() {
                self.retry.later(&last);
            }
        } else {
            tracing::error!(path = %self.parts.path.display(), fault = ?last, "queue file cannot be used any more");
            self.broken = Some(last.clone());
            let stuck = self.retry.give_up();
            self.refuse(stuck, &last);
        }
    }

    /// One transaction and its answers.
    fn attempt(&mut self, work: &[Work], give: bool) -> Result<(), rusqlite::Error> {
        self.batch.lines = self.ledger.lines().len();
        let done = self.carry_out(work, give);
        if let Err(error) = done {
            self.undo();
            return Err(error);
        }
        self.ledger.commit();
        self.remembered.commit();
        for (line, retention) in self.batch.retention.drain(..) {
            self.ledger.line_mut(line).retention = Some(retention);
            self.trims.soon(line);
        }
        for line in std::mem::take(&mut self.batch.put) {
            self.ledger.evict(line, CACHE_BYTES);
            let it = self.ledger.line(line);
            if it.retention.is_some() && it.consumers() == 0 {
                self.trims.after_put(line, it);
            }
        }
        self.answer();
        Ok(())
    }

    fn carry_out(&mut self, work: &[Work], give: bool) -> Result<(), rusqlite::Error> {
        for one in work {
            match one {
                Work::Ask(asked) => self.apply(asked)?,
                Work::GiveBack(holder) => self.give_back(*holder)?,
                Work::Forget(holder) => self.forget(*holder)?,
                Work::Trim(line) => self.trim(*line)?,
            }
        }
        if give {
            self.give()?;
        }
        for asked in std::mem::take(&mut self.batch.stats) {
            let stats = Reply::Stats(self.stats()?);
            self.batch.replies.push((asked.connection, asked.id, stats));
        }
        if self.batch.begun {
            self.store.commit()?;
            self.batch.begun = false;
        }
        Ok(())
    }

    /// Begins the transaction at its first write.
    fn write(&mut self) -> Result<&mut Self, rusqlite::Error> {
        if !self.batch.begun {
            self.store.begin()?;
            self.batch.begun = true;
        }
        Ok(self)
    }

    fn undo(&mut self) {
        if self.batch.begun
            && let Err(error) = self.store.rollback()
        {
            tracing::error!(%error, "queue file could not roll back");
        }
        self.ledger.rollback();
        self.remembered.rollback();
        self.ledger.truncate(self.batch.lines);
        let lines = self.batch.lines;
        self.names.retain(|_, line| *line < lines);
        self.batch = Batch::default();
    }

    /// Sends what the transaction made true: deliveries first, so that whoever polls finds them.
    fn answer(&mut self) {
        self.answered |= !self.batch.replies.is_empty();
        let mut outgoing: Vec<(u64, Vec<Answer>)> = Vec::with_capacity(2);
        let given = self.batch.given.drain(..);
        let replies = self.batch.replies.drain(..);
        let replies = replies.map(|(connection, id, reply)| (connection, Answer::Reply(id, reply)));
        for (connection, answer) in given.chain(replies) {
            match outgoing.iter_mut().find(|(other, _)| *other == connection) {
                Some((_, answers)) => answers.push(answer),
                None => outgoing.push((connection, vec![answer])),
            }
        }
        for (connection, answers) in outgoing {
            self.holders.send(connection, answers);
        }
    }

    /// Answers everything that somebody waits for with the same fault.
    fn refuse(&mut self, work: Vec<Work>, fault: &Fault) {
        for one in work {
            if let Work::Ask(asked) = one {
                let reply = match asked.request {
                    Request::Leave | Request::End { .. } | Request::Renew => Reply::Done,
                    _ => Reply::Refused(fault.clone()),
                };
                self.batch.replies.push((asked.connection, asked.id, reply));
            }
        }
        self.answer();
    }

    fn browse(&self, asked: &Asked, line: usize, after: Option<u64>, limit: u64) {
        if let Some(sink) = self.holders.sink(asked.connection) {
            let id = asked.id;
            self.reader.ask(Job {
                line,
                after,
                limit,
                answer: Box::new(move |reply| sink.send(vec![Answer::Reply(id, reply)])),
            });
        }
    }
}

/// Now, in milliseconds since 1970.
fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
