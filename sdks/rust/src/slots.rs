//! How many calls run at once, and whether there is room for one more.
//!
//! A call whose sidecar has gone keeps its place until it really ends: a function cannot be stopped from outside. While
//! such calls fill every place, a ping waits: the process is alive and yet cannot serve.

use std::{
    num::NonZeroUsize,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::Context;

/// Places for running calls.
pub(crate) struct Slots {
    limit: usize,
    running: Mutex<Vec<Context>>,
    changed: Condvar,
}

/// A place that is taken; given back when it is dropped.
pub(crate) struct Slot<'a> {
    slots: &'a Slots,
    context: &'a Context,
}

impl Slots {
    pub(crate) fn new(limit: NonZeroUsize) -> Self {
        Self {
            limit: limit.get(),
            running: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Waits for a place and takes it; `None` when the call was canceled meanwhile.
    pub(crate) fn enter<'a>(&'a self, context: &'a Context) -> Option<Slot<'a>> {
        let full = |running: &mut Vec<Context>| !context.is_canceled() && running.len() >= self.limit;
        let running = self.changed.wait_while(self.running(), full);
        let mut running = running.unwrap_or_else(PoisonError::into_inner);
        if context.is_canceled() {
            return None;
        }
        running.push(context.clone());
        Some(Slot { slots: self, context })
    }

    /// Returns once a place is free or held by a call that somebody waits for, or when `given_up`.
    pub(crate) fn wait_serving(&self, given_up: impl Fn() -> bool) {
        let stuck = |running: &mut Vec<Context>| {
            !given_up() && running.iter().filter(|context| context.is_canceled()).count() >= self.limit
        };
        drop(self.changed.wait_while(self.running(), stuck));
    }

    /// Makes everyone who waits look again.
    pub(crate) fn wake(&self) {
        // Under the lock: nobody is between looking and waiting.
        let _running = self.running();
        self.changed.notify_all();
    }

    fn running(&self) -> MutexGuard<'_, Vec<Context>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.slots.running().retain(|context| !context.is(self.context));
        self.slots.changed.notify_all();
    }
}
