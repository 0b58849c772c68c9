//! How many at once: a semaphore whose size can change while it is in use.
//!
//! The one rule: making it smaller never takes a slot away from its holder. What is out above the new size is a debt
//! that slots pay when they come back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A concurrency limit; a cheap handle, clones share one limit. Waiters are served in order.
#[derive(Debug, Clone)]
pub struct Limit {
    shared: Arc<Shared>,
}

impl Limit {
    /// At most `size` at once; 0 lets nobody in until [`resize`](Self::resize).
    pub fn new(size: usize) -> Self {
        let size = size.min(Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::new(Shared {
                semaphore: Arc::new(Semaphore::new(size)),
                sizes: Mutex::new(Sizes { size, debt: 0 }),
            }),
        }
    }

    /// Waits for a slot.
    ///
    /// # Cancellation
    /// Dropping the future gives up the place in the line and nothing else.
    pub async fn acquire(&self) -> Slot {
        let permit = Arc::clone(&self.shared.semaphore).acquire_owned().await;
        self.slot(permit.expect("the semaphore is never closed"))
    }

    /// A slot if one is free now.
    pub fn try_acquire(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.shared.semaphore).try_acquire_owned().ok()?;
        Some(self.slot(permit))
    }

    /// Changes the size. Slots that are out stay out; none is given until fewer than `size` are.
    pub fn resize(&self, size: usize) {
        let size = size.min(Semaphore::MAX_PERMITS);
        let mut sizes = self.shared.lock();
        if size > sizes.size {
            let more = size - sizes.size;
            let paid = more.min(sizes.debt);
            sizes.debt -= paid;
            self.shared.semaphore.add_permits(more - paid);
        } else {
            let fewer = sizes.size - size;
            sizes.debt += fewer - self.shared.semaphore.forget_permits(fewer);
        }
        sizes.size = size;
    }

    /// The size that was last asked for.
    pub fn size(&self) -> usize {
        self.shared.lock().size
    }

    /// Slots that are out; above [`size`](Self::size) for a while after it was made smaller.
    pub fn busy(&self) -> usize {
        let sizes = self.shared.lock();
        (sizes.size + sizes.debt).saturating_sub(self.shared.semaphore.available_permits())
    }

    fn slot(&self, permit: OwnedSemaphorePermit) -> Slot {
        Slot {
            shared: Arc::clone(&self.shared),
            permit: Some(permit),
        }
    }
}

/// A place under a [`Limit`], given back when dropped.
#[derive(Debug)]
#[must_use = "a slot is given back as soon as it is dropped"]
pub struct Slot {
    shared: Arc<Shared>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let mut sizes = self.shared.lock();
        if sizes.debt > 0 {
            sizes.debt -= 1;
            permit.forget();
        } else {
            drop(permit);
        }
    }
}

#[derive(Debug)]
struct Shared {
    semaphore: Arc<Semaphore>,
    sizes: Mutex<Sizes>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Sizes> {
        // Nothing between the changes can panic.
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Sizes {
    size: usize,
    /// Slots out above `size`, to be forgotten when they come back.
    debt: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[tokio::test]
    async fn no_more_than_the_size_are_let_in() {
        let limit = Limit::new(2);
        let (first, _second) = (limit.acquire().await, limit.acquire().await);
        assert!(limit.try_acquire().is_none());
        drop(first);
        assert!(limit.try_acquire().is_some());
    }

    #[tokio::test]
    async fn made_smaller_it_lets_nobody_in_until_enough_have_left() {
        let limit = Limit::new(3);
        let mut slots = vec![limit.acquire().await, limit.acquire().await, limit.acquire().await];
        limit.resize(1);
        assert_eq!((limit.size(), limit.busy()), (1, 3));
        for _ in 0..2 {
            slots.pop();
            assert!(limit.try_acquire().is_none());
        }
        slots.pop();
        assert_eq!(limit.busy(), 0);
        let _only = limit.try_acquire().unwrap();
        assert!(limit.try_acquire().is_none());
    }

    #[tokio::test]
    async fn made_larger_it_lets_a_waiter_in() {
        let limit = Limit::new(0);
        let waiter = limit.acquire();
        tokio::pin!(waiter);
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waiter.as_mut().poll(cx).is_pending())).await);
        limit.resize(1);
        let _slot = waiter.await;
        assert_eq!(limit.busy(), 1);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Take,
        Give,
        Resize(usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![Just(Act::Take), Just(Act::Give), (0_usize..6).prop_map(Act::Resize)]
    }

    proptest! {
        #[test]
        fn a_slot_is_given_exactly_when_fewer_than_the_size_are_out(acts in proptest::collection::vec(act(), 0..200)) {
            let (limit, mut size, mut slots) = (Limit::new(2), 2, Vec::new());
            for act in acts {
                match act {
                    Act::Take => {
                        let slot = limit.try_acquire();
                        prop_assert_eq!(slot.is_some(), slots.len() < size);
                        slots.extend(slot);
                    }
                    Act::Give => drop(slots.pop()),
                    Act::Resize(to) => {
                        limit.resize(to);
                        size = to;
                    }
                }
                prop_assert_eq!((limit.size(), limit.busy()), (size, slots.len()));
            }
        }
    }
}
