//! The transport: one lock over all queues, which makes every put and every forward one step.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    consumer::{MemoryConsumer, MemoryReceipt, Share},
    line::{Claimed, Line},
};
use crate::{Browsed, Consumer, Delivery, Promises, Put, Queue, QueueError, QueueSpec, QueueStats};

/// A transport that ends with its last handle.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), queues::QueueError> {
/// use queues::{Put, Queue, QueueSpec, Settle, memory::MemoryQueue};
///
/// let queue = MemoryQueue::new();
/// queue.declare(&[QueueSpec::new("clean")]).await?;
/// queue.put(vec![Put::new("clean", "a message")]).await?;
/// let delivery = queue.consume("clean", 1).await?.take().await?;
/// assert_eq!(delivery.body(), "a message");
/// delivery.settle(Settle::Done).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default, Clone)]
pub struct MemoryQueue {
    hall: Arc<Hall>,
    max_bytes: Option<u64>,
}

/// Where all queues of one transport stand.
#[derive(Debug, Default)]
pub(super) struct Hall {
    state: Mutex<State>,
    closed: CancellationToken,
}

#[derive(Debug, Default)]
pub(super) struct State {
    lines: BTreeMap<Arc<str>, Line>,
    consumers: u64,
}

impl MemoryQueue {
    /// A transport with no queues and no limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a limit to a body's size, for tests of what is too large.
    pub fn with_max_bytes(self, max_bytes: u64) -> Self {
        Self {
            max_bytes: Some(max_bytes),
            ..self
        }
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    fn promises(&self) -> Promises {
        Promises {
            order: true,
            lease: false,
            oldest: true,
            in_flight: true,
            browse: true,
            atomic_forward: true,
            durable: false,
            delay: true,
            deliveries: true,
            max_bytes: self.max_bytes,
        }
    }

    async fn declare(&self, queues: &[QueueSpec]) -> Result<(), QueueError> {
        let mut state = self.hall.open()?;
        for spec in queues {
            let line = state.lines.entry(Arc::clone(&spec.name)).or_default();
            if let Some(retention) = spec.retention {
                line.keep(retention, Instant::now());
            }
        }
        Ok(())
    }

    async fn exists(&self, queue: &str) -> Result<bool, QueueError> {
        Ok(self.hall.open()?.lines.contains_key(queue))
    }

    async fn put(&self, messages: Vec<Put>) -> Result<(), QueueError> {
        let mut state = self.hall.open()?;
        state.check(&messages, self.max_bytes)?;
        state.put(messages);
        Ok(())
    }

    async fn consume(&self, queue: &str, credit: usize) -> Result<Box<dyn Consumer>, QueueError> {
        let mut state = self.hall.open()?;
        state.consumers += 1;
        let number = state.consumers;
        let (name, line) = state.find(queue)?;
        line.join(Instant::now());
        let arrived = line.arrived();
        let share = Arc::new(Share::new(number, credit));
        Ok(Box::new(MemoryConsumer::new(
            Arc::clone(&self.hall),
            name,
            arrived,
            share,
            self.max_bytes,
        )))
    }

    async fn stats(&self) -> Result<Vec<QueueStats>, QueueError> {
        let now = Instant::now();
        Ok(self
            .hall
            .open()?
            .lines
            .iter_mut()
            .map(|(name, line)| line.stats(name, now))
            .collect())
    }

    async fn browse(&self, queue: &str, after: Option<u64>, limit: usize) -> Result<Vec<Browsed>, QueueError> {
        Ok(self.hall.open()?.find(queue)?.1.browse(after, limit, Instant::now()))
    }

    async fn claim(&self, queue: &str, position: u64) -> Result<Option<Delivery>, QueueError> {
        let mut state = self.hall.open()?;
        let (name, line) = state.find(queue)?;
        let claimed = line.claim(position);
        Ok(claimed.map(|claimed| hand_out(&self.hall, name, claimed, None, self.max_bytes)))
    }

    async fn close(&self) {
        // Under the lock, so that every change is either whole before this or refused after it.
        let _state = self.hall.lock();
        self.hall.closed.cancel();
    }
}

impl Hall {
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics half-way through a change, so a poisoned lock still guards a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open(&self) -> Result<MutexGuard<'_, State>, QueueError> {
        let state = self.lock();
        if self.closed.is_cancelled() {
            Err(QueueError::Closed)
        } else {
            Ok(state)
        }
    }
}

impl State {
    pub(super) fn find(&mut self, queue: &str) -> Result<(Arc<str>, &mut Line), QueueError> {
        let name = self.lines.get_key_value(queue).map(|(name, _)| Arc::clone(name));
        match (name, self.lines.get_mut(queue)) {
            (Some(name), Some(line)) => Ok((name, line)),
            _ => Err(QueueError::NoQueue {
                queue: queue.to_owned(),
            }),
        }
    }

    /// Whether all of these can be put; after that [`put`](State::put) does not fail.
    pub(super) fn check(&self, messages: &[Put], max_bytes: Option<u64>) -> Result<(), QueueError> {
        for Put { queue, body, .. } in messages {
            if !self.lines.contains_key(queue) {
                return Err(QueueError::NoQueue {
                    queue: queue.to_string(),
                });
            }
            if let Some(limit) = max_bytes
                && body.len() as u64 > limit
            {
                return Err(QueueError::TooLarge {
                    queue: queue.to_string(),
                    bytes: body.len() as u64,
                    limit,
                });
            }
        }
        Ok(())
    }

    pub(super) fn put(&mut self, messages: Vec<Put>) {
        let now = Instant::now();
        for Put { queue, body, .. } in messages {
            if let Some(line) = self.lines.get_mut(&queue) {
                line.put(body, now);
            }
        }
    }
}

pub(super) fn hand_out(
    hall: &Arc<Hall>,
    queue: Arc<str>,
    claimed: Claimed,
    share: Option<Arc<Share>>,
    max_bytes: Option<u64>,
) -> Delivery {
    let Claimed { position, body, tally } = claimed;
    let receipt = MemoryReceipt::new(Arc::clone(hall), Arc::clone(&queue), position, share, max_bytes);
    Delivery::new(queue, body, tally, Box::new(receipt))
}
