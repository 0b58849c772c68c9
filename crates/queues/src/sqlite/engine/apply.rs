//! Carries out one request inside the transaction.
//!
//! Everything is checked before the first write, so a refusal leaves no trace and an error of the disk undoes all.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use super::{
    super::{
        fault::Fault,
        ledger::{Consumer, Held, Line, Mark, Place, Seq},
        protocol::{Claim, Given, MAX_BODY, Reply, Request},
    },
    Asked, Engine, Work, unix_millis,
};
use crate::{Again, Put, QueueSpec, QueueStats, Settle};

/// How many numbers are reserved in the file at a time.
const RESERVED: u64 = 1 << 16;
/// How many answered requests are kept before they are forgotten together.
const FORGET_FROM: usize = 64;

/// What a settle finds.
enum Found {
    Mine(Held),
    /// It was done before.
    Already,
    Lost,
}

impl Engine<'_> {
    pub(super) fn apply(&mut self, asked: &Asked) -> Result<(), rusqlite::Error> {
        let Some(holder) = self.holders.of(asked.connection) else {
            return Ok(());
        };
        let reply = match &asked.request {
            Request::Put { answered, messages } => self.put(asked, holder, *answered, messages)?,
            Request::Settle { claim, how } => self.settle(*claim, *how)?,
            Request::Forward { claim, outputs } => self.forward(*claim, outputs)?,
            Request::Declare(specs) => self.declare(specs)?,
            Request::Exists(queue) => Reply::Exists(self.names.contains_key(queue)),
            Request::Consume {
                consumer,
                queue,
                credit,
            } => match self.names.get(queue) {
                Some(line) => {
                    let number = *consumer;
                    self.ledger.consume(*line, Consumer { holder, number }, *credit);
                    self.trims.cancel(*line);
                    Reply::Done
                }
                None => Reply::Refused(Fault::NoQueue(queue.clone())),
            },
            Request::Credit { consumer, credit } => {
                let number = *consumer;
                self.ledger.credit(Consumer { holder, number }, *credit);
                Reply::Done
            }
            Request::End { consumer } => {
                let number = *consumer;
                self.end(Consumer { holder, number });
                Reply::Done
            }
            Request::Poll | Request::Renew => Reply::Done,
            Request::Stats => {
                match &mut self.uncounted {
                    Some(uncounted) => uncounted.waiting.push(asked.clone()),
                    None => self.batch.stats.push(asked.clone()),
                }
                return Ok(());
            }
            Request::Browse { queue, after, limit } => match self.names.get(queue) {
                Some(line) => {
                    self.browse(asked, *line, *after, *limit);
                    return Ok(());
                }
                None => Reply::Refused(Fault::NoQueue(queue.clone())),
            },
            Request::Take { queue, position } => match self.names.get(queue) {
                Some(line) => Reply::Taken(self.take(holder, Seq::new(*line, *position))?),
                None => Reply::Refused(Fault::NoQueue(queue.clone())),
            },
            Request::Present(held) => self.present(holder, held)?,
            Request::Leave => {
                for stuck in self.retry.take(asked.connection) {
                    if let Work::Ask(stuck) = stuck {
                        let reply = Reply::Refused(Fault::Closed);
                        self.batch.replies.push((stuck.connection, stuck.id, reply));
                    }
                }
                for consumer in self.ledger.consumers_of(holder) {
                    self.end(consumer);
                }
                self.give_back(holder)?;
                self.forget(holder)?;
                Reply::Done
            }
            #[cfg(test)]
            Request::Panic => panic!("asked to"),
        };
        self.batch.replies.push((asked.connection, asked.id, reply));
        Ok(())
    }

    fn put(&mut self, asked: &Asked, holder: u64, answered: u64, messages: &[Put]) -> Result<Reply, rusqlite::Error> {
        if self.remembered.contains(holder, asked.id) {
            return Ok(Reply::Done);
        }
        let lines = match self.check(messages) {
            Ok(lines) => lines,
            Err(fault) => return Ok(Reply::Refused(fault)),
        };
        self.insert(&lines, messages)?;
        if self.holders.is_remote(asked.connection) && !messages.is_empty() {
            self.store.remember(holder, asked.id)?;
            self.remembered.insert(holder, asked.id);
            if self.remembered.below(holder, answered) >= FORGET_FROM {
                self.store.forget(holder, answered)?;
                self.remembered.forget(holder, answered);
            }
        }
        Ok(Reply::Done)
    }

    /// The queue of each message, or why none of them is put.
    fn check(&self, messages: &[Put]) -> Result<Vec<usize>, Fault> {
        let lines = messages.iter().map(|put| {
            let bytes = put.body.len() as u64;
            if bytes > MAX_BODY {
                let queue = put.queue.clone();
                let limit = MAX_BODY;
                return Err(Fault::TooLarge { queue, bytes, limit });
            }
            let line = self.names.get(&put.queue).copied();
            line.ok_or_else(|| Fault::NoQueue(put.queue.clone()))
        });
        lines.collect()
    }

    fn insert(&mut self, lines: &[usize], messages: &[Put]) -> Result<(), rusqlite::Error> {
        let put_at = unix_millis().cast_signed();
        for (line, put) in lines.iter().zip(messages) {
            self.write()?;
            let it = self.ledger.line(*line);
            if it.next >= it.reserved {
                let reserved = it.next + RESERVED;
                self.store.reserve(*line, reserved)?;
                self.ledger.reserve(*line, reserved);
            }
            let seq = self.ledger.put(*line, put_at, put.body.clone());
            self.store.insert(seq, put_at, &put.body)?;
            if !self.batch.put.contains(line) {
                self.batch.put.push(*line);
            }
        }
        Ok(())
    }

    fn find(&self, claim: Claim) -> Found {
        match self.ledger.place(claim.seq) {
            Some(Place::Held(held)) if held.mark.token == claim.token => Found::Mine(held),
            Some(Place::Ready(mark) | Place::Delayed(_, mark)) if mark.token == claim.token => Found::Already,
            Some(_) => Found::Lost,
            None => Found::Already,
        }
    }

    fn settle(&mut self, claim: Claim, how: Settle) -> Result<Reply, rusqlite::Error> {
        self.stage_failure()?;
        match (self.find(claim), how) {
            (Found::Already, _) => return Ok(Reply::Done),
            (Found::Lost, _) => return Ok(Reply::Refused(Fault::LeaseLost)),
            (Found::Mine(_), Settle::Done) => self.remove(claim.seq)?,
            (Found::Mine(held), Settle::Again(again)) => self.put_back(claim.seq, held.mark, again)?,
        }
        Ok(Reply::Done)
    }

    fn forward(&mut self, claim: Claim, outputs: &[Put]) -> Result<Reply, rusqlite::Error> {
        self.stage_failure()?;
        match self.find(claim) {
            Found::Already => return Ok(Reply::Done),
            Found::Lost => return Ok(Reply::Refused(Fault::LeaseLost)),
            Found::Mine(_) => {}
        }
        match self.check(outputs) {
            Ok(lines) => {
                self.insert(&lines, outputs)?;
                self.remove(claim.seq)?;
                Ok(Reply::Done)
            }
            Err(fault) => Ok(Reply::Refused(fault)),
        }
    }

    /// Fails where a test wants that.
    fn stage_failure(&mut self) -> Result<(), rusqlite::Error> {
        if self.failing == 0 {
            return Ok(());
        }
        self.failing -= 1;
        let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        Err(rusqlite::Error::SqliteFailure(full, None))
    }

    fn remove(&mut self, seq: Seq) -> Result<(), rusqlite::Error> {
        self.write()?;
        self.ledger.set(seq, None);
        self.store.delete(seq)?;
        self.store.unmark(seq)
    }

    pub(super) fn put_back(&mut self, seq: Seq, mut mark: Mark, again: Again) -> Result<(), rusqlite::Error> {
        self.write()?;
        if !again.counted {
            mark.deliveries = mark.deliveries.saturating_sub(1);
        }
        mark.attempt = again.attempt.or(mark.attempt);
        let place = if again.after.is_zero() {
            Place::Ready(mark)
        } else {
            let after = u64::try_from(again.after.as_millis()).unwrap_or(u64::MAX).max(1);
            Place::Delayed(unix_millis().saturating_add(after).min(i64::MAX.cast_unsigned()), mark)
        };
        self.ledger.set(seq, Some(place));
        self.store.place(seq, &place)
    }

    fn declare(&mut self, specs: &[QueueSpec]) -> Result<Reply, rusqlite::Error> {
        let new = specs.iter().filter(|spec| !self.names.contains_key(&spec.name));
        if self.ledger.lines().len() + new.count() > Seq::MAX_LINES {
            return Ok(Reply::Refused(Fault::unavailable(
                "the file has all the queues that it can have",
            )));
        }
        for spec in specs {
            let known = self.names.get(&spec.name).copied();
            let same = known.map(|line| spec.retention.is_none() || self.ledger.line(line).retention == spec.retention);
            if same == Some(true) {
                continue;
            }
            self.write()?;
            let line = known.unwrap_or(self.ledger.lines().len());
            self.store.declare(line, spec)?;
            if known.is_none() {
                self.ledger.add(Line::empty(spec.name.clone()));
                self.names.insert(spec.name.clone(), line);
            }
            if let Some(retention) = spec.retention {
                self.batch.retention.push((line, retention));
            }
        }
        Ok(Reply::Done)
    }

    fn take(&mut self, holder: u64, seq: Seq) -> Result<Option<Given>, rusqlite::Error> {
        let free = match self.ledger.place(seq) {
            Some(Place::Held(_)) => false,
            Some(_) => true,
            None => seq.number() < self.ledger.line(seq.line()).next,
        };
        let Some(body) = (if free { self.store.body(seq)? } else { None }) else {
            return Ok(None);
        };
        let number = 0;
        self.claim(seq, Consumer { holder, number }, Some(body))
    }

    pub(super) fn stats(&mut self) -> Result<Vec<QueueStats>, rusqlite::Error> {
        let now = unix_millis();
        let mut all = Vec::with_capacity(self.names.len());
        for line in 0..self.ledger.lines().len() {
            let put_at = self.oldest(line)?.map(|(_, put_at)| put_at);
            let it = self.ledger.line(line);
            let age = put_at.map(|put_at| Duration::from_millis(now.saturating_sub(put_at.max(0).cast_unsigned())));
            all.push(QueueStats {
                name: it.name.clone(),
                depth: Some(it.depth()),
                in_flight: Some(it.held()),
                delayed: Some(it.delayed()),
                oldest: age,
                consumers: Some(it.consumers()),
            });
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }
}

/// The requests of other processes that were done and whose answer may still be asked for again.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    by_holder: HashMap<u64, BTreeSet<u64>>,
    new: Vec<(u64, u64)>,
    old: Vec<(u64, u64)>,
}

impl Remembered {
    pub(super) fn contains(&self, holder: u64, id: u64) -> bool {
        self.by_holder.get(&holder).is_some_and(|ids| ids.contains(&id))
    }

    pub(super) fn insert(&mut self, holder: u64, id: u64) {
        self.by_holder.entry(holder).or_default().insert(id);
        self.new.push((holder, id));
    }

    pub(super) fn knows(&self, holder: u64) -> bool {
        self.by_holder.contains_key(&holder)
    }

    pub(super) fn holders(&self) -> impl Iterator<Item = u64> {
        self.by_holder.keys().copied()
    }

    /// Forgets what is below an id, once that is in the file.
    pub(super) fn forget(&mut self, holder: u64, below: u64) {
        self.old.push((holder, below));
    }

    pub(super) fn commit(&mut self) {
        self.new.clear();
        for (holder, below) in self.old.drain(..) {
            if let Some(ids) = self.by_holder.get_mut(&holder) {
                *ids = ids.split_off(&below);
                if ids.is_empty() {
                    self.by_holder.remove(&holder);
                }
            }
        }
    }

    pub(super) fn rollback(&mut self) {
        self.old.clear();
        for (holder, id) in self.new.drain(..) {
            if let Some(ids) = self.by_holder.get_mut(&holder) {
                ids.remove(&id);
            }
        }
    }

    /// Whether at least so many of a holder's are below an id that they are worth forgetting.
    fn below(&self, holder: u64, id: u64) -> usize {
        let ids = self.by_holder.get(&holder);
        ids.map_or(0, |ids| ids.range(..id).take(FORGET_FROM).count())
    }
}
