//! A message that was taken, and the ways to end that.
//!
//! Settling takes the delivery by value, so it happens once. Dropped unsettled (a panic, a cancelled task), it goes
//! back through its receipt and counts as a delivery that did not finish.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use wire::TraceContext;

use crate::{Put, QueueError};

/// A message given out to this process and not yet settled; its lease is renewed by the transport meanwhile.
pub struct Delivery {
    queue: Arc<str>,
    body: Bytes,
    tally: Tally,
    trace: Option<Arc<TraceContext>>,
    receipt: Option<Box<dyn Receipt>>,
}

/// The two counters that a queue keeps beside a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// What the last [`Settle::Again`] said; `None` on a message that was never put back.
    pub attempt: Option<u32>,
    /// Deliveries that began and did not finish, this one included; `None` where the transport does not know.
    pub deliveries: Option<u32>,
}

/// How a delivery ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// It is finished and leaves the queue.
    Done,
    /// It goes back to be given out again.
    Again(Again),
}

/// How a delivery goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// How long it waits first.
    pub after: Duration,
    /// The attempt that the next delivery will report; `None` leaves it.
    pub attempt: Option<u32>,
    /// Whether this delivery stays counted as one that began and did not finish.
    pub counted: bool,
}

impl Again {
    /// Back at once, as if it had never been given out.
    pub const UNCOUNTED: Self = Self {
        after: Duration::ZERO,
        attempt: None,
        counted: false,
    };

    /// Back after a while, counted as a delivery that did not finish.
    pub fn lost(after: Duration) -> Self {
        Self {
            after,
            attempt: None,
            counted: true,
        }
    }

    /// Back after a while for the handler's next attempt; the delivery did finish and is not counted.
    pub fn attempt(attempt: u32, after: Duration) -> Self {
        Self {
            after,
            attempt: Some(attempt),
            counted: false,
        }
    }

    /// The same, waiting for `after` first.
    pub fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

/// The transport's side of a delivery.
#[async_trait]
pub trait Receipt: Send + Sync {
    /// Ends the delivery. A failure that may pass is the transport's to try again; dropping the future does not stop that.
    ///
    /// # Errors
    /// [`QueueError::LeaseLost`] when somebody else has the message by now: nothing was written.
    async fn settle(self: Box<Self>, how: Settle) -> Result<(), QueueError>;

    /// Puts `outputs`, and when all are safe, ends the delivery; in one step where the transport can.
    /// A failure that may pass is tried again for as long as the lease holds.
    ///
    /// # Errors
    /// On [`QueueError::NoQueue`] and [`QueueError::TooLarge`] the receipt is given back, with nothing settled.
    async fn forward(self: Box<Self>, outputs: Vec<Put>) -> Result<(), (QueueError, Option<Box<dyn Receipt>>)>;

    /// The delivery was dropped unsettled. Must not block.
    fn abandon(self: Box<Self>);
}

/// Outputs that could not be handed over.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// An output can never be put; the delivery is still ours to settle in another way.
    #[error("an output was refused")]
    Refused {
        /// The delivery, unsettled.
        delivery: Box<Delivery>,
        /// Why.
        #[source]
        error: QueueError,
    },
    /// The delivery is no longer ours; nothing was written, or it was all written before.
    #[error("the delivery could not be settled")]
    Unsettled(#[source] QueueError),
}

impl Delivery {
    /// A delivery as a transport hands it out.
    pub fn new(queue: Arc<str>, body: Bytes, tally: Tally, receipt: Box<dyn Receipt>) -> Self {
        Self {
            queue,
            body,
            tally,
            trace: None,
            receipt: Some(receipt),
        }
    }

    /// The same delivery, with the trace context that the transport had beside the message's bytes.
    pub fn with_trace(mut self, trace: Option<Arc<TraceContext>>) -> Self {
        self.trace = trace;
        self
    }

    /// The queue it came from, by its full name.
    pub fn queue(&self) -> &Arc<str> {
        &self.queue
    }

    /// The message's bytes, shared, not copied.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The queue's counters for this message.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The trace context that the transport had beside the message's bytes; the message may say another itself.
    pub fn trace(&self) -> Option<&Arc<TraceContext>> {
        self.trace.as_ref()
    }

    /// Ends the delivery.
    ///
    /// # Errors
    /// [`QueueError::LeaseLost`] when it is somebody else's by now, [`QueueError::Closed`] when the queue is.
    ///
    /// # Cancellation
    /// The outcome is the queue's as soon as this was first polled; dropping the future drops the answer only.
    pub async fn settle(mut self, how: Settle) -> Result<(), QueueError> {
        let receipt = self
            .receipt
            .take()
            .expect("a delivery holds its receipt until it is settled");
        receipt.settle(how).await
    }

    /// Puts outputs and ends the delivery as done, never the second before the first.
    ///
    /// # Errors
    /// [`ForwardError::Refused`] gives the delivery back where an output can never be put.
    ///
    /// # Cancellation
    /// As [`settle`](Delivery::settle): what was begun goes on.
    pub async fn forward(mut self, outputs: Vec<Put>) -> Result<(), ForwardError> {
        let receipt = self
            .receipt
            .take()
            .expect("a delivery holds its receipt until it is settled");
        match receipt.forward(outputs).await {
            Ok(()) => Ok(()),
            Err((error, Some(receipt))) => {
                self.receipt = Some(receipt);
                Err(ForwardError::Refused {
                    delivery: Box::new(self),
                    error,
                })
            }
            Err((error, None)) => Err(ForwardError::Unsettled(error)),
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(receipt) = self.receipt.take() {
            receipt.abandon();
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("queue", &self.queue)
            .field("bytes", &self.body.len())
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}
