//! Messages on their way, put in batches: a batch costs one sync of the disk.

use std::sync::Arc;

use bytes::Bytes;
use queues::{Put, Queue, QueueError};

/// Collects messages for one queue and puts them in batches.
#[derive(Debug)]
pub(super) struct Outbox<'q> {
    queue: &'q dyn Queue,
    name: Arc<str>,
    batch: Vec<Put>,
    bytes: usize,
    waiting: Vec<Option<String>>,
    put: Vec<Option<String>>,
}

impl<'q> Outbox<'q> {
    /// For the queue with this full name.
    pub(super) fn new(queue: &'q dyn Queue, name: &str) -> Self {
        Self {
            queue,
            name: name.into(),
            batch: Vec::new(),
            bytes: 0,
            waiting: Vec::new(),
            put: Vec::new(),
        }
    }

    /// The ids of the messages that are safe in the queue, in order; `None` where one has no id.
    pub(super) fn put(&self) -> &[Option<String>] {
        &self.put
    }

    /// Adds a message, and puts the batch when it is full.
    pub(super) async fn add(&mut self, id: Option<String>, body: Bytes) -> Result<(), QueueError> {
        let limit = self.queue.promises().max_bytes.unwrap_or(u64::MAX);
        if body.len() as u64 > limit {
            self.flush().await?;
            return Err(QueueError::TooLarge {
                queue: self.name.to_string(),
                bytes: body.len() as u64,
                limit,
            });
        }
        self.bytes += body.len();
        self.batch.push(Put::new(self.name.clone(), body));
        self.waiting.push(id);
        if self.batch.len() >= BATCH_MESSAGES || self.bytes >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Puts what is there; when this returns it is safe.
    pub(super) async fn flush(&mut self) -> Result<(), QueueError> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.queue.put(batch).await?;
            self.put.append(&mut self.waiting);
        }
        Ok(())
    }
}

const BATCH_MESSAGES: usize = 256;
const BATCH_BYTES: usize = 4 << 20;
