//! Where every message is: fresh, ready again, waiting for its time, or held.
//!
//! Pure: no I/O, no clock. What a transaction changed is undone by [`Ledger::rollback`] when the disk refuses it, so
//! the ledger never differs from the file. Taking never scans: fresh messages follow a cursor, the others an index.

mod line;
mod seq;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

pub(super) use line::{Fresh, Line, Next, Place};
pub(super) use seq::{Consumer, Held, Mark, Seq};

/// How much a consumer may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Credit {
    line: usize,
    limit: u64,
    held: u64,
}

/// Every queue of the file.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    lines: Vec<Line>,
    delayed: BTreeSet<(u64, Seq)>,
    credits: HashMap<Consumer, Credit>,
    holding: HashMap<u64, u64>,
    cached: usize,
    hot: Vec<usize>,
    undo: Vec<Undo>,
}

#[derive(Debug)]
enum Undo {
    Placed(Seq, Option<Place>),
    Put(usize),
    Taken(Seq, Option<Fresh>),
    Reserved(usize, u64),
}

impl Ledger {
    /// Adds a queue and answers its number; they count from zero.
    pub(super) fn add(&mut self, line: Line) -> usize {
        self.lines.push(line);
        self.lines.len() - 1
    }

    /// Forgets the queues from `count` on, which a transaction that failed had added.
    pub(super) fn truncate(&mut self, count: usize) {
        self.lines.truncate(count);
    }

    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub(super) fn line(&self, line: usize) -> &Line {
        &self.lines[line]
    }

    pub(super) fn line_mut(&mut self, line: usize) -> &mut Line {
        &mut self.lines[line]
    }

    pub(super) fn place(&self, seq: Seq) -> Option<Place> {
        self.lines.get(seq.line())?.places.get(&seq.number()).copied()
    }

    /// Adds a message at the end of a queue.
    pub(super) fn put(&mut self, line: usize, put_at: i64, body: Bytes) -> Seq {
        self.heat(line);
        let it = &mut self.lines[line];
        let number = it.next;
        it.next += 1;
        it.fresh += 1;
        if it.loaded == number {
            it.loaded = it.next;
            self.cached += body.len();
            it.window.push_back(Fresh { number, put_at, body });
        }
        self.undo.push(Undo::Put(line));
        Seq::new(line, number)
    }

    /// Numbers below it may be used without a word in the file.
    pub(super) fn reserve(&mut self, line: usize, reserved: u64) {
        let old = std::mem::replace(&mut self.lines[line].reserved, reserved);
        self.undo.push(Undo::Reserved(line, old));
    }

    /// What a consumer of the queue would get next.
    pub(super) fn next(&self, line: usize) -> Next {
        self.lines[line].next()
    }

    /// Gives a message out and answers its body where it is in memory; its mark has the new token and count.
    pub(super) fn claim(&mut self, seq: Seq, token: u64, by: Consumer) -> (Mark, Option<Bytes>) {
        let (mut mark, mut body) = (Mark::default(), None);
        match self.place(seq) {
            Some(Place::Ready(known) | Place::Delayed(_, known)) => mark = known,
            Some(Place::Held(_)) => unreachable!("only a free message is claimed"),
            None => {
                let it = &mut self.lines[seq.line()];
                it.fresh -= 1;
                let fresh = it.remove(seq.number());
                if let Some(fresh) = &fresh {
                    self.cached -= fresh.body.len();
                    body = Some(fresh.body.clone());
                }
                self.undo.push(Undo::Taken(seq, fresh));
            }
        }
        mark.deliveries = mark.deliveries.saturating_add(1);
        mark.token = token;
        self.set(seq, Some(Place::Held(Held { mark, by })));
        (mark, body)
    }

    /// Moves a message, or forgets it (`None`) as it leaves the file.
    pub(super) fn set(&mut self, seq: Seq, place: Option<Place>) {
        let before = self.swap(seq, place);
        self.undo.push(Undo::Placed(seq, before));
    }

    /// Drops a fresh message that leaves the file.
    pub(super) fn trim(&mut self, seq: Seq) {
        let it = &mut self.lines[seq.line()];
        it.fresh -= 1;
        let fresh = it.remove(seq.number());
        self.cached -= fresh.as_ref().map_or(0, |fresh| fresh.body.len());
        self.undo.push(Undo::Taken(seq, fresh));
    }

    /// Fresh messages read from the file, in order, and the number that reading has come to.
    pub(super) fn load(&mut self, line: usize, rows: Vec<Fresh>, through: u64) {
        let it = &mut self.lines[line];
        for row in rows {
            if !it.places.contains_key(&row.number) {
                self.cached += row.body.len();
                it.window.push_back(row);
            }
        }
        it.loaded = it.loaded.max(through);
    }

    /// Lets bodies go that are over the limit; they are read back when their turn comes.
    pub(super) fn evict(&mut self, line: usize, limit: usize) {
        let it = &mut self.lines[line];
        while self.cached > limit {
            let Some(fresh) = it.window.pop_back() else { break };
            self.cached -= fresh.body.len();
            it.loaded = fresh.number;
        }
    }

    /// Adds a consumer or brings its credit up to date; deliveries that it held before it came back are counted.
    pub(super) fn consume(&mut self, line: usize, consumer: Consumer, limit: u64) {
        self.heat(line);
        if let Some(credit) = self.credits.get_mut(&consumer) {
            credit.limit = limit;
            return;
        }
        let places = self.lines[line].places.values();
        let held = places.filter(|place| matches!(place, Place::Held(held) if held.by == consumer));
        let held = held.count() as u64;
        self.credits.insert(consumer, Credit { line, limit, held });
        self.lines[line].turn.push_back(consumer);
    }

    /// Changes the credit of a consumer.
    pub(super) fn credit(&mut self, consumer: Consumer, limit: u64) {
        if let Some(credit) = self.credits.get_mut(&consumer) {
            credit.limit = limit;
            let line = credit.line;
            self.heat(line);
        }
    }

    /// Forgets a consumer and answers its queue; what it holds stays held.
    pub(super) fn end(&mut self, consumer: Consumer) -> Option<usize> {
        let credit = self.credits.remove(&consumer)?;
        self.lines[credit.line].turn.retain(|other| *other != consumer);
        Some(credit.line)
    }

    /// The consumers of one holder.
    pub(super) fn consumers_of(&self, holder: u64) -> Vec<Consumer> {
        let all = self.credits.keys().filter(|consumer| consumer.holder == holder);
        all.copied().collect()
    }

    /// Whose turn it is among those with credit.
    pub(super) fn whose_turn(&mut self, line: usize) -> Option<Consumer> {
        let turn = &mut self.lines[line].turn;
        for _ in 0..turn.len() {
            let consumer = turn.pop_front()?;
            turn.push_back(consumer);
            if self
                .credits
                .get(&consumer)
                .is_some_and(|credit| credit.held < credit.limit)
            {
                return Some(consumer);
            }
        }
        None
    }

    /// How much is held in all.
    pub(super) fn held(&self) -> u64 {
        self.holding.values().sum()
    }

    /// How much a holder has.
    pub(super) fn holding(&self, holder: u64) -> u64 {
        self.holding.get(&holder).copied().unwrap_or(0)
    }

    /// Forgets a holder that has nothing.
    pub(super) fn dismiss(&mut self, holder: u64) {
        if self.holding(holder) == 0 {
            self.holding.remove(&holder);
        }
    }

    /// Everything that a holder has.
    pub(super) fn held_by(&self, holder: u64) -> Vec<(Seq, Held)> {
        let mut all = Vec::new();
        for (line, it) in self.lines.iter().enumerate() {
            for (number, place) in &it.places {
                if let Place::Held(held) = place
                    && held.by.holder == holder
                {
                    all.push((Seq::new(line, *number), *held));
                }
            }
        }
        all.sort_by_key(|(seq, _)| *seq);
        all
    }

    /// Makes what has waited long enough ready.
    pub(super) fn wake(&mut self, now: u64) {
        while let Some((due, seq)) = self.delayed.first().copied()
            && due <= now
        {
            if let Some(Place::Delayed(_, mark)) = self.place(seq) {
                self.swap(seq, Some(Place::Ready(mark)));
            }
        }
    }

    /// When the first delayed message is due.
    pub(super) fn first_due(&self) -> Option<u64> {
        self.delayed.first().map(|(due, _)| *due)
    }

    /// The queues in which something may be given out since the last call.
    pub(super) fn take_hot(&mut self) -> Vec<usize> {
        let hot = std::mem::take(&mut self.hot);
        for line in &hot {
            self.lines[*line].hot = false;
        }
        hot
    }

    /// Notes that something may be given out in a queue.
    pub(super) fn heat(&mut self, line: usize) {
        if let Some(it) = self.lines.get_mut(line)
            && !it.hot
        {
            it.hot = true;
            self.hot.push(line);
        }
    }

    pub(super) fn is_hot(&self) -> bool {
        !self.hot.is_empty()
    }

    /// The file has it: nothing is undone any more.
    pub(super) fn commit(&mut self) {
        self.undo.clear();
    }

    /// The file does not have it: everything since the last commit is undone.
    pub(super) fn rollback(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Placed(seq, before) => {
                    self.swap(seq, before);
                }
                Undo::Put(line) => {
                    let it = &mut self.lines[line];
                    it.next -= 1;
                    it.fresh -= 1;
                    if it.window.back().is_some_and(|fresh| fresh.number == it.next) {
                        let fresh = it.window.pop_back().expect("the back was looked at");
                        self.cached -= fresh.body.len();
                    }
                    it.loaded = it.loaded.min(it.next);
                }
                Undo::Taken(seq, fresh) => {
                    let it = &mut self.lines[seq.line()];
                    it.fresh += 1;
                    if let Some(fresh) = fresh {
                        self.cached += fresh.body.len();
                        it.insert(fresh);
                    } else {
                        self.cached -= it.unload(seq.number());
                    }
                    self.heat(seq.line());
                }
                Undo::Reserved(line, old) => self.lines[line].reserved = old,
            }
        }
    }

    fn swap(&mut self, seq: Seq, place: Option<Place>) -> Option<Place> {
        let before = self.lines[seq.line()].swap(seq.number(), place);
        match before {
            Some(Place::Delayed(due, _)) => {
                self.delayed.remove(&(due, seq));
            }
            Some(Place::Held(held)) => {
                if let Some(credit) = self.credits.get_mut(&held.by) {
                    credit.held -= 1;
                }
                if let Some(count) = self.holding.get_mut(&held.by.holder) {
                    *count -= 1;
                }
            }
            _ => {}
        }
        match place {
            Some(Place::Delayed(due, _)) => {
                self.delayed.insert((due, seq));
            }
            Some(Place::Held(held)) => {
                if let Some(credit) = self.credits.get_mut(&held.by) {
                    credit.held += 1;
                }
                *self.holding.entry(held.by.holder).or_default() += 1;
            }
            _ => {}
        }
        self.heat(seq.line());
        before
    }
}
