//! The trait that every transport implements, and the plain data that goes through it.
//!
//! What a transport cannot do it does not promise; what it cannot know it answers with `None`, never with a guess.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use wire::TraceContext;

use crate::{Delivery, QueueError};

/// A connection to wherever messages wait: a file, a broker, this process's memory.
///
/// Cheap to share as `Arc<dyn Queue>`; every method may be called from many tasks at once. Dropping the future of
/// any method abandons the wait, not what was already asked for: a put may still happen.
#[async_trait]
pub trait Queue: Send + Sync + fmt::Debug {
    /// What this transport keeps, for callers that have to know and for the conformance kit.
    fn promises(&self) -> Promises;

    /// Creates the queues that do not exist yet; of those that do, retention is brought up to date where one is given.
    async fn declare(&self, queues: &[QueueSpec]) -> Result<(), QueueError>;

    /// Whether the queue was declared by anyone.
    async fn exists(&self, queue: &str) -> Result<bool, QueueError>;

    /// Puts messages, all of them or none where [`Promises::atomic_forward`] stands, and returns when every one of
    /// them is safe (synced, or confirmed by the broker).
    ///
    /// # Errors
    /// [`QueueError::NoQueue`] and [`QueueError::TooLarge`] are final, the others may pass.
    async fn put(&self, messages: Vec<Put>) -> Result<(), QueueError>;

    /// Starts taking from a queue, with at most `credit` deliveries unsettled at a time (the field's "prefetch").
    ///
    /// # Errors
    /// [`QueueError::NoQueue`] where nobody declared it.
    async fn consume(&self, queue: &str, credit: usize) -> Result<Box<dyn Consumer>, QueueError>;

    /// Every declared queue, sorted by name.
    async fn stats(&self) -> Result<Vec<QueueStats>, QueueError>;

    /// Looks at messages without taking them, oldest first, from just after position `after`; those in flight too.
    ///
    /// # Errors
    /// [`QueueError::Unsupported`] where [`Promises::browse`] does not stand.
    async fn browse(&self, queue: &str, after: Option<u64>, limit: usize) -> Result<Vec<Browsed>, QueueError>;

    /// Takes the one message at a position that [`browse`](Queue::browse) named; `None` where it is gone or in flight.
    ///
    /// # Errors
    /// [`QueueError::Unsupported`] where [`Promises::browse`] does not stand.
    async fn claim(&self, queue: &str, position: u64) -> Result<Option<Delivery>, QueueError>;

    /// Ends every consumer, returns what they hold undelivered, waits for settles under way, and lets the transport go.
    async fn close(&self);
}

/// A standing request for the messages of one queue.
///
/// Deliveries that it holds and did not hand out go back, uncounted, when it is dropped. A delivery's credit comes
/// back when it is settled; the embedded queue claims the next message in the same transaction.
#[async_trait]
pub trait Consumer: Send + fmt::Debug {
    /// The next message, as soon as there is one. Dropping the future loses nothing.
    async fn take(&mut self) -> Result<Delivery, QueueError>;

    /// The next message if one is ready at this moment. Dropping the future loses nothing.
    async fn take_now(&mut self) -> Result<Option<Delivery>, QueueError>;

    /// Changes the number of deliveries that may be unsettled at a time. Zero pauses: what was claimed and not yet
    /// handed out goes back, uncounted.
    fn set_credit(&self, credit: usize);
}

/// What a transport keeps. The conformance kit tests each promise that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a promise of its own, made or not made"
)]
pub struct Promises {
    /// Messages of one queue are handed out in the order they were put, while none is put back.
    pub order: bool,
    /// A delivery whose holder is silent for longer than the lease is given out again; live holders keep it.
    pub lease: bool,
    /// [`QueueStats::oldest`] is known.
    pub oldest: bool,
    /// [`QueueStats::in_flight`] is known.
    pub in_flight: bool,
    /// [`Queue::browse`] and [`Queue::claim`] work.
    pub browse: bool,
    /// A put of many is all or nothing, and [`Delivery::forward`] puts its outputs and settles in one step.
    pub atomic_forward: bool,
    /// Messages survive the end of every process.
    pub durable: bool,
    /// A put-back can wait.
    pub delay: bool,
    /// The count of deliveries is kept across crashes.
    pub deliveries: bool,
    /// The largest body it takes, in bytes.
    pub max_bytes: Option<u64>,
}

/// A message on its way into a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The queue's full name.
    pub queue: Arc<str>,
    /// The message's bytes, which no transport looks into.
    pub body: Bytes,
    /// Where the message stands in its trace, for a transport that has headers beside the bytes: it writes them as
    /// `traceparent` and `tracestate`. The others pass it over; what the message itself says is what counts.
    pub trace: Option<Arc<TraceContext>>,
}

impl Put {
    /// A message for a queue, without a trace.
    pub fn new(queue: impl Into<Arc<str>>, body: impl Into<Bytes>) -> Self {
        Self {
            queue: queue.into(),
            body: body.into(),
            trace: None,
        }
    }

    /// The same message, at this place in its trace.
    pub fn with_trace(self, trace: Option<Arc<TraceContext>>) -> Self {
        Self { trace, ..self }
    }
}

/// A queue that should exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    /// Its full name.
    pub name: Arc<str>,
    /// How long messages are kept where nobody takes them; `None` leaves what was declared before.
    pub retention: Option<Retention>,
}

impl QueueSpec {
    /// A queue that keeps its messages until they are taken.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            retention: None,
        }
    }
}

/// The trimming of a queue that nobody consumes: what is older or beyond the number goes, oldest first.
///
/// A queue with a consumer is never trimmed, and a message in flight neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// How long a message is kept, from its put; `None` is for ever.
    pub keep: Option<Duration>,
    /// How many messages are kept; `None` is all.
    pub max: Option<u64>,
}

/// The figures of one queue; `None` is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStats {
    /// The queue's full name.
    pub name: Arc<str>,
    /// Messages that could be taken at this moment.
    pub depth: Option<u64>,
    /// Messages given out and not settled.
    pub in_flight: Option<u64>,
    /// Messages put back that wait for their time.
    pub delayed: Option<u64>,
    /// The age, since its put, of the oldest ready message. Unknown where the transport does not promise it.
    pub oldest: Option<Duration>,
    /// Consumers connected, in all processes.
    pub consumers: Option<u64>,
}

/// A message that was looked at and left where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Browsed {
    /// Its place in the queue; grows with each put and is never used again.
    pub position: u64,
    /// Its bytes.
    pub body: Bytes,
    /// Whether somebody holds it at this moment.
    pub in_flight: bool,
}
