//! The lines that wait for one backend.
//!
//! The one rule: what is in here, and what is being delivered, never exceeds the limits, in lines and in bytes. Who comes
//! with more is held back or loses it, as the backend has it; a source with more than its share is held back first.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::parcel::Parcel;
use crate::config::WhenFull;

/// How much may wait, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) lines: usize,
    pub(crate) lines_of_source: usize,
    /// What is done with a line for which there is no room; `None`: as the backend does.
    pub(crate) when_full: Option<WhenFull>,
    /// How long a line waits for others.
    pub(crate) interval: Duration,
    /// So many lines do not wait.
    pub(crate) ripe: usize,
}

/// What waits for one backend, and what is under way to it.
#[derive(Debug)]
pub(crate) struct Buffer {
    limits: Limits,
    bytes: AtomicUsize,
    state: Mutex<State>,
    /// Told when there may be room.
    room: Notify,
    /// Told when there may be a batch.
    batch: Notify,
    failing: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Parcel>,
    lines_waiting: usize,
    /// Lines and bytes of what waits and what is under way.
    lines: usize,
    bytes: usize,
    of_source: HashMap<Arc<str>, usize>,
    /// Senders that are held back.
    held: usize,
    closed: bool,
}

/// What a push lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) full: usize,
    pub(crate) sampled: usize,
}

/// What a try to push left over.
enum Pushed {
    All(Lost),
    /// This has to wait.
    Rest(Parcel),
}

impl Buffer {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            bytes: AtomicUsize::new(usize::MAX),
            state: Mutex::default(),
            room: Notify::new(),
            batch: Notify::new(),
            failing: AtomicBool::new(false),
        }
    }

    /// What it was made with.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Bytes that may wait; without it there is no bound.
    pub(crate) fn set_bytes(&self, bytes: usize) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.room.notify_waiters();
    }

    fn most_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Lays lines down, waiting for room where that is asked for; says what was lost instead.
    ///
    /// # Cancellation
    /// What is not laid down yet is lost with the future.
    pub(crate) async fn push(&self, parcel: Parcel) -> Lost {
        let mut rest = match self.try_push(parcel) {
            Pushed::All(lost) => return lost,
            Pushed::Rest(rest) => rest,
        };
        let _held = Held::new(self);
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // Before the look, so that what happens between the look and the wait is heard.
            room.as_mut().enable();
            rest = match self.try_push(rest) {
                Pushed::All(lost) => return lost,
                Pushed::Rest(rest) => rest,
            };
            room.await;
        }
    }

    /// Waits until the first line of a parcel would not be held back.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub(crate) async fn room_for(&self, parcel: &Parcel) {
        if self.has_room_for(parcel) {
            return;
        }
        let _held = Held::new(self);
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.has_room_for(parcel) {
                return;
            }
            room.await;
        }
    }

    fn has_room_for(&self, parcel: &Parcel) -> bool {
        if self.policy() != WhenFull::Hold {
            return true;
        }
        let state = self.lock();
        let of_source = state.of_source.get(&parcel.source).copied().unwrap_or_default();
        let line = parcel.iter().next().map_or(0, |line| line.len() + 1) + size_of::<Parcel>();
        state.lines < self.limits.lines
            && of_source < self.limits.lines_of_source
            && state.bytes.saturating_add(line) <= self.most_bytes()
    }

    fn policy(&self) -> WhenFull {
        match self.limits.when_full {
            Some(policy) => policy,
            None if self.failing.load(Ordering::Relaxed) => WhenFull::DropNewest,
            None => WhenFull::Hold,
        }
    }

    fn try_push(&self, mut parcel: Parcel) -> Pushed {
        let mut state = self.lock();
        let policy = self.policy();
        let mut lost = Lost::default();
        if policy == WhenFull::Sample {
            lost.sampled = self.thin(&state, &mut parcel);
        }
        if policy == WhenFull::DropOldest {
            lost.full = self.make_room(&mut state, &mut parcel);
        }
        let mut lines = self.limits.lines.saturating_sub(state.lines);
        let bytes = self.most_bytes().saturating_sub(state.bytes);
        if policy == WhenFull::Hold {
            let of_source = state.of_source.get(&parcel.source).copied().unwrap_or_default();
            lines = lines.min(self.limits.lines_of_source.saturating_sub(of_source));
        }
        if parcel.lines <= lines && parcel.size() <= bytes {
            self.lay(&mut state, parcel);
            return Pushed::All(lost);
        }
        // What it takes beside its text counts too.
        let front = parcel.take_front(lines, bytes.saturating_sub(size_of::<Parcel>()));
        if let Some(front) = front {
            self.lay(&mut state, front);
        }
        if policy == WhenFull::Hold {
            self.batch.notify_one();
            return Pushed::Rest(parcel);
        }
        let ousted = self.oust(&mut state, &parcel);
        lost.full += ousted;
        if ousted > 0
            && let Some(front) = parcel.take_front(ousted, usize::MAX)
        {
            self.lay(&mut state, front);
        }
        lost.full += parcel.lines;
        Pushed::All(lost)
    }

    fn lay(&self, state: &mut State, parcel: Parcel) {
        if parcel.lines == 0 {
            return;
        }
        let was_ripe = self.is_ripe(state);
        let was_empty = state.waiting.is_empty();
        state.lines += parcel.lines;
        state.lines_waiting += parcel.lines;
        match state.of_source.get_mut(&parcel.source) {
            Some(lines) => *lines += parcel.lines,
            None => drop(state.of_source.insert(Arc::clone(&parcel.source), parcel.lines)),
        }
        parcel.account.buffered(parcel.lines);
        let before = state.waiting.back().map_or(0, Parcel::size);
        let last = state.waiting.back_mut();
        let merged = last.and_then(|last| last.merge(&parcel).then(|| last.size()));
        if let Some(size) = merged {
            state.bytes += size - before;
        } else {
            state.bytes += parcel.size();
            state.waiting.push_back(parcel);
        }

        if was_empty || (!was_ripe && self.is_ripe(state)) {
            self.batch.notify_one();
        }
    }

    /// Drops the oldest lines until `parcel` fits, and its own oldest where it never would; says how many.
    fn make_room(&self, state: &mut State, parcel: &mut Parcel) -> usize {
        let mut gone = parcel.drop_front(parcel.lines.saturating_sub(self.limits.lines));
        while state.lines + parcel.lines > self.limits.lines || state.bytes + parcel.size() > self.most_bytes() {
            let over = (state.lines + parcel.lines).saturating_sub(self.limits.lines);
            let Some(mut oldest) = state.waiting.pop_front() else {
                break;
            };
            state.take_out(&oldest);
            let lines = if over == 0 { oldest.lines } else { over };
            gone += oldest.drop_front(lines);
            if oldest.lines > 0 {
                state.put_back(oldest);
            }
        }
        gone
    }

    /// Drops the newest lines of sources that have more than their share, for one that has less; says how many.
    fn oust(&self, state: &mut State, parcel: &Parcel) -> usize {
        let share = self.limits.lines_of_source;
        let own = state.of_source.get(&parcel.source).copied().unwrap_or_default();
        let mut wanted = share.saturating_sub(own).min(parcel.lines);
        let mut gone = 0;
        for index in (0..state.waiting.len()).rev() {
            if wanted == 0 {
                break;
            }
            let source = &state.waiting[index].source;
            let over = state.of_source[source].saturating_sub(share);
            if over == 0 || *source == parcel.source {
                continue;
            }
            let before = state.waiting[index].size();
            let dropped = state.waiting[index].drop_back(over.min(wanted));
            let (source, account) = (
                Arc::clone(&state.waiting[index].source),
                Arc::clone(&state.waiting[index].account),
            );
            state.bytes -= before - state.waiting[index].size();
            state.lines -= dropped;
            state.lines_waiting -= dropped;
            account.left(dropped);
            state.forget(&source, dropped);
            wanted -= dropped;
            gone += dropped;
        }
        let State { waiting, bytes, .. } = state;
        waiting.retain(|parcel| {
            if parcel.lines == 0 {
                *bytes -= parcel.size();
            }
            parcel.lines > 0
        });
        gone
    }

    /// Leaves out the more lines the fuller it is; says how many.
    fn thin(&self, state: &State, parcel: &mut Parcel) -> usize {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let full = state.lines as f64 / self.limits.lines as f64;
        if full <= 0.5 {
            return 0;
        }
        let kept = 2.0 * (1.0 - full);
        let mut thinned = Parcel::new(&parcel.source, &parcel.account, parcel.received, parcel.since);
        for line in parcel.iter().filter(|_| fastrand::f64() < kept) {
            thinned.push(line);
        }
        let gone = parcel.lines - thinned.lines;
        *parcel = thinned;
        gone
    }

    /// The next batch: what has waited for long enough, is enough, or is in somebody's way; at most `lines` and `bytes`,
    /// and at least one line. `None` when the buffer is closed and empty.
    ///
    /// # Cancellation
    /// Dropping the future takes nothing.
    pub(crate) async fn take(&self, lines: usize, bytes: usize) -> Option<Vec<Parcel>> {
        loop {
            let due = {
                let mut state = self.lock();
                match state.waiting.front() {
                    None if state.closed => return None,
                    None => None,
                    Some(first) => {
                        let due = first.since + self.limits.interval;
                        if self.is_ripe(&state) || Instant::now() >= due {
                            return Some(state.pick(lines, bytes));
                        }
                        Some(due)
                    }
                }
            };
            match due {
                None => self.batch.notified().await,
                Some(due) => {
                    let _ = tokio::time::timeout_at(due.into(), self.batch.notified()).await;
                }
            }
        }
    }

    fn is_ripe(&self, state: &State) -> bool {
        state.closed
            || state.held > 0
            || state.lines_waiting >= self.limits.ripe
            || state.bytes >= self.most_bytes() / 2
            || self.limits.interval.is_zero()
    }

    /// A batch has left, in whatever way.
    pub(crate) fn finish(&self, batch: &[Parcel]) {
        let mut state = self.lock();
        for parcel in batch {
            state.lines -= parcel.lines;
            state.bytes -= parcel.size();
            state.forget(&parcel.source, parcel.lines);
            parcel.account.left(parcel.lines);
        }
        drop(state);
        self.room.notify_waiters();
    }

    /// Whether the backend fails: senders are not held back for one that does.
    pub(crate) fn set_failing(&self, failing: bool) {
        if self.failing.swap(failing, Ordering::Relaxed) != failing {
            self.room.notify_waiters();
        }
    }

    /// No more will come: what waits need not wait for others.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.batch.notify_one();
    }

    /// How many lines wait or are under way.
    pub(crate) fn lines(&self) -> usize {
        self.lock().lines
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
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
        *self.of_source.entry(Arc::clone(&parcel.source)).or_default() += parcel.lines;
        parcel.account.buffered(parcel.lines);
        self.waiting.push_front(parcel);
    }

    fn forget(&mut self, source: &Arc<str>, lines: usize) {
        if let Some(of_source) = self.of_source.get_mut(source) {
            *of_source -= lines;
            if *of_source == 0 {
                self.of_source.remove(source);
            }
        }
    }
}

/// A sender that waits; while one does, nothing else waits for others.
struct Held<'a>(&'a Buffer);

impl<'a> Held<'a> {
    fn new(buffer: &'a Buffer) -> Self {
        buffer.lock().held += 1;
        buffer.batch.notify_one();
        Self(buffer)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.lock().held -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use proptest::prelude::*;

    use super::{
        super::parcel::tests::{parcel, texts},
        *,
    };

    fn limits(lines: usize, when_full: Option<WhenFull>) -> Limits {
        Limits {
            lines,
            lines_of_source: 4,
            when_full,
            interval: Duration::ZERO,
            ripe: 100,
        }
    }

    async fn all(buffer: &Buffer) -> String {
        buffer.close();
        let mut all = String::new();
        while let Some(batch) = buffer.take(3, 1 << 20).await {
            all.extend(batch.iter().flat_map(texts));
            buffer.finish(&batch);
        }
        all
    }

    #[tokio::test]
    async fn who_comes_to_a_full_buffer_waits_until_a_batch_has_left() {
        let buffer = Buffer::new(limits(3, None));
        let mut push = std::pin::pin!(buffer.push(parcel("a", &["1", "2", "3", "4"])));
        assert!(poll!(push.as_mut()).is_pending());
        let batch = buffer.take(2, 1 << 20).await.unwrap();
        assert!(poll!(push.as_mut()).is_pending(), "under way is not gone");
        buffer.finish(&batch);
        assert_eq!(push.await, Lost::default());
        assert_eq!(all(&buffer).await, "34");
    }

    #[tokio::test]
    async fn a_source_above_its_share_waits_while_there_is_room_for_others() {
        let buffer = Buffer::new(limits(10, None));
        let mut noisy = std::pin::pin!(buffer.push(parcel("a", &["1", "2", "3", "4", "5"])));
        assert!(poll!(noisy.as_mut()).is_pending());
        assert_eq!(buffer.push(parcel("b", &["x"])).await, Lost::default());
        assert_eq!(buffer.lines(), 5);
    }

    #[tokio::test]
    async fn a_failing_backend_holds_nobody_back() {
        let buffer = Buffer::new(limits(3, None));
        let mut push = std::pin::pin!(buffer.push(parcel("a", &["1", "2", "3", "4"])));
        assert!(poll!(push.as_mut()).is_pending());
        buffer.set_failing(true);
        assert_eq!(push.await, Lost { full: 1, sampled: 0 });
        assert_eq!(all(&buffer).await, "123");
    }

    #[tokio::test]
    async fn a_noisy_source_gives_way_to_one_below_its_share() {
        let buffer = Buffer::new(limits(6, Some(WhenFull::DropNewest)));
        assert_eq!(
            buffer
                .push(parcel("a", &["1", "2", "3", "4", "5", "6", "7"]))
                .await
                .full,
            1
        );
        assert_eq!(buffer.push(parcel("b", &["x", "y", "z"])).await.full, 3);
        assert_eq!(buffer.lines(), 6);
        assert_eq!(all(&buffer).await, "1234xy");
    }

    #[tokio::test]
    async fn the_oldest_give_way_where_that_is_asked_for() {
        let buffer = Buffer::new(limits(3, Some(WhenFull::DropOldest)));
        assert_eq!(buffer.push(parcel("a", &["1", "2"])).await.full, 0);
        assert_eq!(buffer.push(parcel("b", &["3", "4"])).await.full, 1);
        assert_eq!(buffer.push(parcel("c", &["5", "6", "7", "8"])).await.full, 4);
        assert_eq!(all(&buffer).await, "678");
    }

    #[tokio::test(start_paused = true)]
    async fn lines_wait_for_others_until_their_time_or_number_has_come() {
        let buffer = Buffer::new(Limits {
            interval: Duration::from_secs(5),
            ripe: 2,
            ..limits(10, None)
        });
        buffer.push(parcel("a", &["1"])).await;
        let mut take = std::pin::pin!(buffer.take(9, 1 << 20));
        assert!(poll!(take.as_mut()).is_pending());
        buffer.push(parcel("a", &["2"])).await;
        assert_eq!(take.await.unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_exceeded_in_any_order(
            steps in proptest::collection::vec((0_usize..4, 1_usize..9, any::<bool>()), 1..60),
            policy in prop_oneof![Just(WhenFull::DropNewest), Just(WhenFull::DropOldest), Just(WhenFull::Sample)],
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let buffer = Buffer::new(limits(10, Some(policy)));
                let (mut sent, mut lost, mut got) = (0, 0, 0);
                for (source, count, takes) in steps {
                    let lines: Vec<String> = (0..count).map(|line| line.to_string()).collect();
                    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                    let dropped = buffer.push(parcel(&source.to_string(), &lines)).await;
                    sent += count;
                    lost += dropped.full + dropped.sampled;
                    assert!(buffer.lines() <= 10);
                    if takes && buffer.lines() > 0 {
                        let batch = buffer.take(count, 64).await.unwrap();
                        got += batch.iter().map(|parcel| parcel.lines).sum::<usize>();
                        buffer.finish(&batch);
                    }
                }
                buffer.close();
                while let Some(batch) = buffer.take(3, 8).await {
                    got += batch.iter().map(|parcel| parcel.iter().count()).sum::<usize>();
                    buffer.finish(&batch);
                }
                assert_eq!(sent, lost + got);
                let state = buffer.lock();
                assert_eq!((state.lines, state.lines_waiting, state.bytes, state.of_source.len()), (0, 0, 0, 0));
            });
        }
    }
}
