//! Parcels that wait in memory.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Parcel,
    policy::{self, Lost, Shelf, Tally, Terms},
};

/// What waits in memory for one backend, and what is under way to it.
#[derive(Debug)]
pub(super) struct Memory {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Parcel>,
    lines_waiting: usize,
    /// Lines and bytes of what waits and what is under way.
    lines: usize,
    bytes: usize,
    of_source: HashMap<Arc<str>, usize>,
    /// The lines of a source beyond which others may oust them, and how many sources have more.
    share: usize,
    above: usize,
}

impl Memory {
    /// An empty one; a source with more than `share` lines gives way to others.
    pub(super) fn new(share: usize) -> Self {
        let state = State {
            share,
            ..State::default()
        };
        Self { state: state.into() }
    }

    /// Lays down what the terms allow; says what was lost, how it stands now, and whether nothing had waited before.
    pub(super) fn lay(&self, terms: &Terms, parcel: &mut Parcel) -> (Lost, Tally, bool) {
        let mut state = self.lock();
        let was_empty = state.waiting.is_empty();
        let Ok(lost) = policy::lay(&mut *state, terms, parcel);
        (lost, state.tally(), was_empty)
    }

    /// The oldest lines, at most so many in so many bytes, at least one where any waits.
    pub(super) fn pick(&self, lines: usize, bytes: usize) -> Vec<Parcel> {
        self.lock().pick(lines, bytes)
    }

    /// A batch has left.
    pub(super) fn finish(&self, batch: &[Parcel]) {
        let mut state = self.lock();
        for parcel in batch {
            state.lines -= parcel.lines;
            state.bytes -= parcel.size();
            state.forget(&parcel.source, parcel.lines);
            parcel.account.left(parcel.lines);
        }
    }

    pub(super) fn of_source(&self, source: &Arc<str>) -> usize {
        self.lock().of_source.get(source).copied().unwrap_or_default()
    }

    pub(super) fn tally(&self) -> Tally {
        self.lock().tally()
    }

    /// Whether its sums are those of nothing at all.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        let state = self.lock();
        (
            state.lines,
            state.lines_waiting,
            state.bytes,
            state.of_source.len(),
            state.above,
        ) == (0, 0, 0, 0, 0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tally(&self) -> Tally {
        Tally {
            lines: self.lines,
            waiting: self.lines_waiting,
            bytes: self.bytes,
            oldest: self.waiting.front().map(|parcel| parcel.since),
        }
    }

    fn pick(&mut self, lines: usize, bytes: usize) -> Vec<Parcel> {
        let (mut batch, mut count, mut size) = (Vec::new(), 0, 0);
        while count < lines && size < bytes {
            let Some(mut first) = self.waiting.pop_front() else {
                break;
            };
            if count + first.lines > lines || (size + first.text.len() > bytes && (first.lines > 1 || count > 0)) {
                let before = first.size();
                let rest = bytes.saturating_sub(size);
                // One line is always small enough to go alone.
                let front = first
                    .take_front(lines - count, rest)
                    .or_else(|| (count == 0).then(|| first.take_front(1, usize::MAX)).flatten());
                let after = first.size() + front.as_ref().map_or(0, Parcel::size);
                self.bytes = self.bytes + after - before;
                self.waiting.push_front(first);
                if let Some(front) = front {
                    self.lines_waiting -= front.lines;
                    batch.push(front);
                }
                break;
            }
            count += first.lines;
            size += first.text.len();
            self.lines_waiting -= first.lines;
            batch.push(first);
        }
        batch
    }

    /// A parcel that was taken off is in the sums no more.
    fn take_out(&mut self, parcel: &Parcel) {
        self.lines -= parcel.lines;
        self.lines_waiting -= parcel.lines;
        self.bytes -= parcel.size();
        self.forget(&parcel.source, parcel.lines);
        parcel.account.left(parcel.lines);
    }

    fn put_back(&mut self, parcel: Parcel) {
        self.lines += parcel.lines;
        self.lines_waiting += parcel.lines;
        self.bytes += parcel.size();
        self.note(&parcel.source, parcel.lines);
        parcel.account.buffered(parcel.lines);
        self.waiting.push_front(parcel);
    }

    fn note(&mut self, source: &Arc<str>, lines: usize) {
        let before = if let Some(of_source) = self.of_source.get_mut(source) {
            std::mem::replace(of_source, *of_source + lines)
        } else {
            self.of_source.insert(Arc::clone(source), lines);
            0
        };
        self.above += usize::from(before <= self.share && before + lines > self.share);
    }

    fn forget(&mut self, source: &Arc<str>, lines: usize) {
        if let Some(of_source) = self.of_source.get_mut(source) {
            let before = *of_source;
            *of_source -= lines;
            self.above -= usize::from(before > self.share && before - lines <= self.share);
            if *of_source == 0 {
                self.of_source.remove(source);
            }
        }
    }
}

impl Shelf for State {
    type Error = Infallible;

    fn lines(&self) -> usize {
        self.lines
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn beside(&self, _: &Parcel) -> usize {
        Parcel::BESIDE
    }

    fn of_source(&mut self, source: &Arc<str>) -> Result<usize, Infallible> {
        Ok(self.of_source.get(source).copied().unwrap_or_default())
    }

    fn append(&mut self, parcel: Parcel) -> Result<(), Infallible> {
        if parcel.lines == 0 {
            return Ok(());
        }
        self.lines += parcel.lines;
        self.lines_waiting += parcel.lines;
        self.note(&parcel.source, parcel.lines);
        parcel.account.buffered(parcel.lines);
        let before = self.waiting.back().map_or(0, Parcel::size);
        let last = self.waiting.back_mut();
        let merged = last.and_then(|last| last.merge(&parcel).then(|| last.size()));
        if let Some(size) = merged {
            self.bytes += size - before;
        } else {
            self.bytes += parcel.size();
            self.waiting.push_back(parcel);
        }
        Ok(())
    }

    fn drop_oldest(&mut self, lines: Option<usize>) -> Result<usize, Infallible> {
        let Some(mut oldest) = self.waiting.pop_front() else {
            return Ok(0);
        };
        self.take_out(&oldest);
        let gone = oldest.drop_front(lines.unwrap_or(oldest.lines));
        if oldest.lines > 0 {
            self.put_back(oldest);
        }
        Ok(gone)
    }

    fn drop_newest(&mut self, spared: &Arc<str>, share: usize, mut wanted: usize) -> Result<usize, Infallible> {
        // Many sources with a line each would have all of them looked at for each line that comes.
        if self.above == 0 {
            return Ok(0);
        }
        let mut gone = 0;
        for index in (0..self.waiting.len()).rev() {
            if wanted == 0 {
                break;
            }
            let source = &self.waiting[index].source;
            let over = self.of_source[source].saturating_sub(share);
            if over == 0 || source == spared {
                continue;
            }
            let before = self.waiting[index].size();
            let dropped = self.waiting[index].drop_back(over.min(wanted));
            let (source, account) = (
                Arc::clone(&self.waiting[index].source),
                Arc::clone(&self.waiting[index].account),
            );
            self.bytes -= before - self.waiting[index].size();
            self.lines -= dropped;
            self.lines_waiting -= dropped;
            account.left(dropped);
            self.forget(&source, dropped);
            wanted -= dropped;
            gone += dropped;
        }
        let Self { waiting, bytes, .. } = self;
        waiting.retain(|parcel| {
            if parcel.lines == 0 {
                *bytes -= parcel.size();
            }
            parcel.lines > 0
        });
        Ok(gone)
    }
}
