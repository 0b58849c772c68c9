//! The lines that wait for one backend: who may lay some down, who is held back, and when a batch is due.
//!
//! The lines themselves are in memory or on disk; who brings or takes them need not know.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{MutexGuard, Notify},
    time::{sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    Disk, Parcel,
    memory::Memory,
    policy::{Lost, Tally, Terms},
};
use crate::config::WhenFull;

/// How much may wait, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) lines: usize,
    pub(crate) lines_of_source: usize,
    /// Bytes on disk; `None` where lines wait in memory.
    pub(crate) disk: Option<usize>,
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
    /// Bytes that may be in memory.
    bytes: AtomicUsize,
    /// So many bytes are as much as goes at once.
    enough: AtomicUsize,
    bell: Arc<Bell>,
    closed: AtomicBool,
    /// Another has what is in here.
    passed_on: CancellationToken,
    store: Store,
}

#[derive(Debug)]
enum Store {
    Memory(Memory),
    Disk(Arc<Disk>),
}

/// How those who bring lines and the one who takes them tell each other.
#[derive(Debug, Default)]
pub(super) struct Bell {
    /// Told when there may be room.
    room: Notify,
    /// Told when there may be a batch.
    batch: Notify,
    /// Senders that are held back.
    held: AtomicUsize,
    failing: AtomicBool,
}

/// Between looks at a disk that could not be used.
const RETRY: Duration = Duration::from_secs(1);

impl Buffer {
    /// Lines wait in memory.
    pub(crate) fn new(limits: Limits) -> Self {
        Self::over(
            limits,
            Arc::default(),
            Store::Memory(Memory::new(limits.lines_of_source)),
        )
    }

    /// Lines wait on disk.
    pub(crate) fn on_disk(limits: Limits, disk: Arc<Disk>) -> Self {
        Self::over(limits, Arc::clone(&disk.bell), Store::Disk(disk))
    }

    fn over(limits: Limits, bell: Arc<Bell>, store: Store) -> Self {
        Self {
            limits,
            bytes: AtomicUsize::new(usize::MAX),
            enough: AtomicUsize::new(usize::MAX),
            bell,
            closed: AtomicBool::new(false),
            passed_on: CancellationToken::new(),
            store,
        }
    }

    /// What it was made with.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Bytes that may be in memory; without it there is no bound.
    pub(crate) fn set_bytes(&self, bytes: usize) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.bell.room.notify_waiters();
    }

    fn most_bytes(&self) -> usize {
        let in_memory = || self.bytes.load(Ordering::Relaxed);
        self.limits.disk.unwrap_or_else(in_memory)
    }

    /// Lays lines down, waiting for room where that is asked for; says what was lost instead. On disk they are written
    /// once this returns.
    ///
    /// # Cancellation
    /// What is not laid down yet is lost with the future.
    pub(crate) async fn push(&self, parcel: Parcel) -> Lost {
        let mut rest = match self.try_push(parcel).await {
            (lost, None) => return lost,
            (_, Some(rest)) => rest,
        };
        let _held = Held::new(self);
        loop {
            let room = self.bell.room.notified();
            tokio::pin!(room);
            // Before the look, so that what happens between the look and the wait is heard.
            room.as_mut().enable();
            rest = match self.try_push(rest).await {
                (lost, None) => return lost,
                (_, Some(rest)) => rest,
            };
            match &self.store {
                Store::Memory(_) => room.await,
                // A full disk tells nobody that it has room again.
                Store::Disk(_) => drop(timeout(RETRY, room).await),
            }
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
            let room = self.bell.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.has_room_for(parcel) {
                return;
            }
            room.await;
        }
    }

    fn has_room_for(&self, parcel: &Parcel) -> bool {
        let terms = self.terms();
        if terms.policy != WhenFull::Hold {
            return true;
        }
        let of_source = match &self.store {
            Store::Memory(memory) => memory.of_source(&parcel.source),
            // What a source has there is not known without looking; that it is too much is found when lines are laid down.
            Store::Disk(_) => 0,
        };
        let (tally, line) = (self.tally(), parcel.iter().next().map_or(0, |line| line.len() + 1));
        tally.lines < terms.lines
            && of_source < terms.lines_of_source
            && tally.bytes.saturating_add(line + Parcel::BESIDE) <= terms.bytes
    }

    fn terms(&self) -> Terms {
        Terms {
            lines: self.limits.lines,
            bytes: self.most_bytes(),
            lines_of_source: self.limits.lines_of_source,
            policy: match self.limits.when_full {
                Some(policy) => policy,
                None if self.bell.failing.load(Ordering::Relaxed) => WhenFull::DropNewest,
                None => WhenFull::Hold,
            },
        }
    }

    /// Lays down what there is room for; gives back what has to wait.
    async fn try_push(&self, mut parcel: Parcel) -> (Lost, Option<Parcel>) {
        let terms = self.terms();
        let (lost, rest, tally, is_first) = match &self.store {
            Store::Memory(memory) => {
                let (lost, tally, is_first) = memory.lay(&terms, &mut parcel);
                (lost, (parcel.lines > 0).then_some(parcel), tally, is_first)
            }
            Store::Disk(disk) => disk.lay(terms, parcel).await,
        };
        if rest.is_some() || is_first || self.is_ripe(&tally) {
            self.bell.batch.notify_one();
        }
        (lost, rest)
    }

    /// The next batch: what has waited for long enough, is enough, or is in somebody's way; at most `lines` and `bytes`,
    /// and at least one line. `None` when the buffer is closed and empty.
    ///
    /// # Cancellation
    /// Dropping the future takes nothing.
    pub(crate) async fn take(&self, lines: usize, bytes: usize) -> Option<Vec<Parcel>> {
        self.enough.store(bytes, Ordering::Relaxed);
        loop {
            // Before the look: what was laid down before the end is seen.
            let closed = self.closed.load(Ordering::Acquire);
            let tally = self.tally();
            let due = tally.oldest.map(|oldest| oldest + self.limits.interval);
            match due {
                None if closed => return None,
                None => self.bell.batch.notified().await,
                Some(due) if self.is_ripe(&tally) || Instant::now() >= due => match self.pick(lines, bytes).await {
                    Some(batch) if batch.is_empty() => tokio::task::yield_now().await,
                    Some(batch) => return Some(batch),
                    None => sleep(RETRY).await,
                },
                Some(due) => drop(timeout_at(due.into(), self.bell.batch.notified()).await),
            }
        }
    }

    async fn pick(&self, lines: usize, bytes: usize) -> Option<Vec<Parcel>> {
        match &self.store {
            Store::Memory(memory) => Some(memory.pick(lines, bytes)),
            Store::Disk(disk) => {
                let in_memory = self.bytes.load(Ordering::Relaxed) / 2;
                disk.pick(lines, bytes.min(in_memory)).await
            }
        }
    }

    fn is_ripe(&self, tally: &Tally) -> bool {
        self.closed.load(Ordering::Relaxed)
            || self.bell.held.load(Ordering::Relaxed) > 0
            || tally.waiting >= self.limits.ripe
            || tally.bytes >= (self.most_bytes() / 2).min(self.enough.load(Ordering::Relaxed))
            || self.limits.interval.is_zero()
    }

    /// A batch has left, in whatever way. On disk that is written once this returns.
    ///
    /// # Cancellation
    /// It may wait still, and come again.
    pub(crate) async fn finish(&self, batch: &[Parcel]) {
        match &self.store {
            Store::Memory(memory) => memory.finish(batch),
            Store::Disk(disk) => {
                let lines = batch.iter().map(|parcel| parcel.lines).sum();
                // Another batch would be repeated with this one if the process ended now.
                while !disk.finish(lines).await {
                    sleep(RETRY).await;
                }
            }
        }
        self.bell.room.notify_waiters();
    }

    /// Of a batch only so many lines have left; on disk the others wait again.
    pub(crate) async fn give_back(&self, left: usize) {
        if let Store::Disk(disk) = &self.store
            && disk.finish(left).await
        {
            self.bell.room.notify_waiters();
            self.bell.batch.notify_one();
        }
    }

    /// Whether the backend fails: senders are not held back for one that does.
    pub(crate) fn set_failing(&self, failing: bool) {
        if self.bell.failing.swap(failing, Ordering::Relaxed) != failing {
            self.bell.room.notify_waiters();
        }
    }

    /// No more will come: what waits need not wait for others.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.bell.batch.notify_one();
    }

    /// How many lines wait or are under way.
    pub(crate) fn lines(&self) -> usize {
        self.tally().lines
    }

    /// Whether what is in here outlives the process.
    pub(crate) fn keeps(&self) -> bool {
        matches!(self.store, Store::Disk(_))
    }

    /// Has whoever delivers what is on disk make way for the one who delivers from here.
    pub(crate) fn take_over(&self) {
        if let Store::Disk(disk) = &self.store {
            disk.pass_on(&self.passed_on);
        }
    }

    /// Waits until another delivers what is in here.
    pub(crate) async fn passed_on(&self) {
        self.passed_on.cancelled().await;
    }

    /// Waits until nobody else delivers what is in here; nobody else will while the guard is held.
    pub(crate) async fn seat(&self) -> Option<MutexGuard<'_, ()>> {
        match &self.store {
            Store::Memory(_) => None,
            Store::Disk(disk) => {
                let seat = disk.seat().await;
                // What the one before had asked for and did not wait for counts as under way: it waits again.
                disk.finish(0).await;
                Some(seat)
            }
        }
    }

    /// Why lines cannot be laid down now, whatever the backend does.
    pub(crate) fn trouble(&self) -> Option<String> {
        match &self.store {
            Store::Memory(_) => None,
            Store::Disk(disk) => disk.trouble().borrow().clone(),
        }
    }

    /// Waits until [`trouble`](Self::trouble) is another than this.
    pub(crate) async fn trouble_changes(&self, from: Option<&str>) {
        match &self.store {
            Store::Memory(_) => std::future::pending().await,
            Store::Disk(disk) => {
                let mut trouble = disk.trouble();
                let changed = trouble.wait_for(|trouble| trouble.as_deref() != from).await;
                drop(changed.expect("the handle keeps the sender"));
            }
        }
    }

    fn tally(&self) -> Tally {
        match &self.store {
            Store::Memory(memory) => memory.tally(),
            Store::Disk(disk) => disk.tally(),
        }
    }

    /// Whether a sender waits.
    #[cfg(test)]
    pub(super) fn holds(&self) -> bool {
        self.bell.held.load(Ordering::Relaxed) > 0
    }

    /// Whether nothing is left behind in its sums.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        match &self.store {
            Store::Memory(memory) => memory.is_bare(),
            Store::Disk(_) => self.lines() == 0,
        }
    }
}

/// A sender that waits; while one does, nothing else waits for others.
struct Held<'a>(&'a Bell);

impl<'a> Held<'a> {
    fn new(buffer: &'a Buffer) -> Self {
        buffer.bell.held.fetch_add(1, Ordering::Relaxed);
        buffer.bell.batch.notify_one();
        Self(&buffer.bell)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}
