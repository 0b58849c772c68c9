//! A mailbox that one thread empties whole: everything that came while it was busy is its next batch.
//!
//! A push never blocks and never loses. What is in it is bounded by those who push: deliveries by their consumer's
//! credit, puts by the session's permits, one answer per request.

use std::{
    hint, mem,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Many writers, one reader.
pub(super) struct Mailbox<T> {
    inner: Mutex<Inner<T>>,
    ready: Condvar,
    /// How many items wait, for a glance without the lock.
    waiting: AtomicUsize,
}

struct Inner<T> {
    items: Vec<T>,
    asleep: bool,
    nudged: bool,
    closed: bool,
}

/// Why the reader woke up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// Items came, or somebody nudged.
    Items,
    /// The time was reached first.
    Time,
    /// The mailbox is closed and empty.
    Closed,
}

impl<T> Mailbox<T> {
    pub(super) fn new() -> Self {
        let inner = Inner {
            items: Vec::new(),
            asleep: false,
            nudged: false,
            closed: false,
        };
        Self {
            inner: Mutex::new(inner),
            ready: Condvar::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Adds an item; gives it back where the mailbox is closed.
    pub(super) fn push(&self, item: T) -> Result<(), T> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(item);
        }
        inner.items.push(item);
        self.waiting.store(inner.items.len(), Ordering::Release);
        self.wake(inner);
        Ok(())
    }

    /// Adds many at once, or drops them where the mailbox is closed.
    pub(super) fn extend(&self, items: impl IntoIterator<Item = T>) {
        let mut inner = self.lock();
        if !inner.closed {
            inner.items.extend(items);
            self.waiting.store(inner.items.len(), Ordering::Release);
            self.wake(inner);
        }
    }

    /// Lets the reader look at its clock again.
    pub(super) fn nudge(&self) {
        let mut inner = self.lock();
        inner.nudged = true;
        self.wake(inner);
    }

    /// No more pushes; the reader still gets what is there.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        self.wake(inner);
    }

    /// Waits until there is something, `until` passed or the mailbox is closed, and moves all of it to `into`.
    pub(super) fn drain(&self, into: &mut Vec<T>, until: Option<Instant>) -> Woken {
        let mut inner = self.lock();
        loop {
            if !inner.items.is_empty() || mem::take(&mut inner.nudged) {
                if into.is_empty() {
                    mem::swap(&mut inner.items, into);
                } else {
                    into.append(&mut inner.items);
                }
                self.waiting.store(0, Ordering::Release);
                return Woken::Items;
            }
            if inner.closed {
                return Woken::Closed;
            }
            inner.asleep = true;
            inner = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => {
                    inner.asleep = false;
                    return Woken::Time;
                }
                Some(left) => {
                    let woken = self.ready.wait_timeout(inner, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.ready.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
            inner.asleep = false;
        }
    }

    /// How many items wait at this moment.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Looks for more than `seen` items without sleeping; whether they came in time.
    pub(super) fn glance(&self, seen: usize, patience: Duration) -> bool {
        let begun = Instant::now();
        loop {
            if self.waiting() > seen {
                return true;
            }
            if begun.elapsed() >= patience {
                return false;
            }
            hint::spin_loop();
        }
    }

    /// Moves what is there to `into` without waiting.
    pub(super) fn take(&self, into: &mut Vec<T>) {
        let mut inner = self.lock();
        into.append(&mut inner.items);
        self.waiting.store(0, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, inner: MutexGuard<'_, Inner<T>>) {
        let asleep = inner.asleep;
        drop(inner);
        if asleep {
            self.ready.notify_one();
        }
    }
}
