//! What a consumer was given and did not take yet.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::super::{fault::Fault, protocol::Given};

/// Filled by the writer's answers, emptied by one consumer.
pub(in super::super) struct Tray {
    pub(in super::super) queue: Arc<str>,
    inner: Mutex<Inner>,
    filled: Notify,
}

struct Inner {
    given: VecDeque<Given>,
    credit: u64,
    ended: Option<Fault>,
}

impl Tray {
    pub(in super::super) fn new(queue: Arc<str>, credit: u64) -> Self {
        let inner = Inner {
            given: VecDeque::new(),
            credit,
            ended: None,
        };
        Self {
            queue,
            inner: Mutex::new(inner),
            filled: Notify::new(),
        }
    }

    pub(super) fn credit(&self) -> u64 {
        self.lock().credit
    }

    /// Whether it is wanted.
    pub(super) fn put(&self, given: Given) -> bool {
        let mut inner = self.lock();
        if inner.credit == 0 || inner.ended.is_some() {
            return false;
        }
        inner.given.push_back(given);
        true
    }

    pub(super) fn wake(&self) {
        self.filled.notify_one();
    }

    /// The next one; waits for it.
    pub(in super::super) async fn take(&self) -> Result<Given, Fault> {
        loop {
            if let Some(given) = self.take_now()? {
                return Ok(given);
            }
            self.filled.notified().await;
        }
    }

    pub(in super::super) fn take_now(&self) -> Result<Option<Given>, Fault> {
        let mut inner = self.lock();
        match (inner.given.pop_front(), &inner.ended) {
            (None, Some(fault)) => Err(fault.clone()),
            (given, _) => Ok(given),
        }
    }

    /// Sets the credit and answers what is not wanted any more.
    pub(in super::super) fn set_credit(&self, credit: u64) -> Vec<Given> {
        let mut inner = self.lock();
        inner.credit = credit;
        if credit == 0 {
            inner.given.drain(..).collect()
        } else {
            Vec::new()
        }
    }

    /// No more; what is left is answered.
    pub(super) fn end(&self, fault: &Fault) -> Vec<Given> {
        let mut inner = self.lock();
        inner.ended.get_or_insert_with(|| fault.clone());
        let left = inner.given.drain(..).collect();
        drop(inner);
        self.filled.notify_one();
        left
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
