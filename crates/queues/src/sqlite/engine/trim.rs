//! Trims queues that nobody consumes: what is too old or too many goes, oldest first, a bounded number at a time.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    super::ledger::{Line, Place, Seq},
    Engine, unix_millis,
};

/// How many messages go in one transaction.
const AT_ONCE: usize = 256;
/// The shortest pause between two looks at the age of a queue's oldest message.
const PAUSE: Duration = Duration::from_secs(1);

/// When which queue is looked at.
#[derive(Default)]
pub(super) struct Trims {
    times: HashMap<usize, Instant>,
}

impl Trims {
    pub(super) fn at(&self) -> Option<Instant> {
        self.times.values().min().copied()
    }

    pub(super) fn soon(&mut self, line: usize) {
        self.times.insert(line, Instant::now());
    }

    pub(super) fn cancel(&mut self, line: usize) {
        self.times.remove(&line);
    }

    pub(super) fn after_put(&mut self, line: usize, it: &Line) {
        let max = it.retention.and_then(|retention| retention.max);
        if max.is_some_and(|max| it.depth() > max) || !self.times.contains_key(&line) {
            self.soon(line);
        }
    }

    pub(super) fn due(&mut self, now: Instant) -> Vec<super::Work> {
        let due: Vec<usize> = self
            .times
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(line, _)| *line)
            .collect();
        for line in &due {
            self.times.remove(line);
        }
        due.into_iter().map(super::Work::Trim).collect()
    }
}

impl Engine<'_> {
    pub(super) fn trim(&mut self, line: usize) -> Result<(), rusqlite::Error> {
        let it = self.ledger.line(line);
        let Some(retention) = it.retention else { return Ok(()) };
        if it.consumers() > 0 || self.uncounted.is_some() {
            return Ok(());
        }
        let now = unix_millis();
        let oldest_kept = retention.keep.map(|keep| {
            let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
            now.saturating_sub(keep).cast_signed()
        });
        for _ in 0..AT_ONCE {
            let Some((number, put_at)) = self.oldest(line)? else {
                return Ok(());
            };
            let too_many = retention.max.is_some_and(|max| self.ledger.line(line).depth() > max);
            let too_old = oldest_kept.is_some_and(|kept| put_at <= kept);
            if !too_many && !too_old {
                if let Some(kept) = oldest_kept {
                    let left = Duration::from_millis((put_at - kept).max(0).cast_unsigned());
                    self.trims.times.insert(line, Instant::now() + left.max(PAUSE));
                }
                return Ok(());
            }
            self.write()?;
            let seq = Seq::new(line, number);
            match self.ledger.place(seq) {
                Some(Place::Ready(_)) => {
                    self.ledger.set(seq, None);
                    self.store.unmark(seq)?;
                }
                _ => self.ledger.trim(seq),
            }
            self.store.delete(seq)?;
        }
        self.trims.soon(line);
        Ok(())
    }
}
