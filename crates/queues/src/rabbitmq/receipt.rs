//! How a delivery ends: outputs first, then the input; and how it goes back.
//!
//! What was begun goes on in a task of its own, whoever waits for it or not.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::{
    delay,
    desk::{Desk, Ending},
    hold::{self, Farewell, Hold},
    marks::Marks,
    options::QueueType,
    parking,
    queue::Shared,
};
use crate::{Again, Delivery, Put, QueueError, Receipt, Settle};

/// A message on its way out of the broker's hands and back.
pub(super) struct Handout {
    shared: Arc<Shared>,
    hold: Arc<Hold>,
    /// Whose credit it takes, once it was handed out.
    desk: Option<Arc<Desk>>,
}

impl Handout {
    pub(super) fn new(shared: Arc<Shared>, hold: Arc<Hold>) -> Self {
        Self {
            shared,
            hold,
            desk: None,
        }
    }

    /// Hands it out.
    pub(super) fn deliver(mut self, desk: Arc<Desk>) -> Delivery {
        let (queue, body) = (Arc::clone(&self.hold.queue), self.hold.body.clone());
        let (tally, trace) = (self.hold.tally, self.hold.marks.trace.clone());
        self.desk = Some(desk);
        Delivery::new(queue, body, tally, Box::new(RabbitReceipt(self))).with_trace(trace)
    }

    /// Gives it back, as if it had never been handed out.
    pub(super) fn give_back(self) {
        let settles = self.shared.settles.clone();
        settles.spawn("RabbitMQ give back", async move {
            // It was not handed out, so its outcome is nobody's.
            let _ = self.put_back(Again::UNCOUNTED).await;
        });
    }

    async fn done(&self) -> Result<(), QueueError> {
        self.end(Ending::Done).await
    }

    async fn put_back(&self, again: Again) -> Result<(), QueueError> {
        let kind = self.shared.options.queue_type;
        // Only a quorum queue counts, and it counts everything that goes back; the attempt is kept in a copy alone.
        let plain = again.after.is_zero()
            && again.attempt.is_none()
            && (again.counted || kind == QueueType::Classic)
            && !self.hold.is_parked();
        if plain {
            return self.end(Ending::Requeue).await;
        }
        let copy = self.copy(again);
        if again.after.is_zero() {
            let parcel = self
                .shared
                .parcel_straight(&self.hold.queue, self.hold.body.clone(), copy);
            self.shared.put_all(vec![parcel], None).await?;
        } else {
            delay::put(
                &self.shared,
                &self.hold.queue,
                self.hold.body.clone(),
                copy,
                again.after,
            )
            .await?;
        }
        self.done().await
    }

    /// What is written beside the copy that goes back.
    fn copy(&self, again: Again) -> Marks {
        let deliveries = self.hold.tally.deliveries.unwrap_or(0);
        Marks {
            attempt: again.attempt.or(self.hold.tally.attempt),
            before: deliveries.saturating_sub(u32::from(!again.counted)),
            parking: None,
            ..self.hold.marks.clone()
        }
    }

    async fn end(&self, ending: Ending) -> Result<(), QueueError> {
        match self.hold.end(ending) {
            Farewell::Told(heard) => {
                let told = self.shared.closed.run_until_cancelled(hold::told(heard)).await;
                told.unwrap_or(Err(QueueError::Closed))
            }
            Farewell::Unpark(lease) => parking::remove(&self.shared, &lease, &self.hold).await,
            Farewell::Gone => Err(QueueError::LeaseLost),
        }
    }

    /// Puts the outputs; those that could not be put for now are tried again for as long as the queue is open.
    async fn put_outputs(&self, outputs: Vec<Put>) -> Result<(), QueueError> {
        if outputs.is_empty() {
            return Ok(());
        }
        let parcels = outputs.into_iter().map(|put| self.shared.parcel(put)).collect();
        self.shared.put_all(parcels, None).await
    }
}

impl Drop for Handout {
    fn drop(&mut self) {
        if let Some(desk) = &self.desk {
            desk.settled();
        }
    }
}

struct RabbitReceipt(Handout);

#[async_trait]
impl Receipt for RabbitReceipt {
    async fn settle(self: Box<Self>, how: Settle) -> Result<(), QueueError> {
        let (answer, heard) = oneshot::channel();
        let settles = self.0.shared.settles.clone();
        settles.spawn("RabbitMQ settle", async move {
            let settled = match how {
                Settle::Done => self.0.done().await,
                Settle::Again(again) => self.0.put_back(again).await,
            };
            drop(self);
            let _ = answer.send(settled);
        });
        heard.await.unwrap_or(Err(QueueError::Closed))
    }

    async fn forward(self: Box<Self>, outputs: Vec<Put>) -> Result<(), (QueueError, Option<Box<dyn Receipt>>)> {
        let (answer, heard) = oneshot::channel();
        let settles = self.0.shared.settles.clone();
        settles.spawn("RabbitMQ forward", async move {
            let forwarded = match self.0.put_outputs(outputs).await {
                Ok(()) => {
                    let done = self.0.done().await;
                    drop(self);
                    done.map_err(|error| (error, None))
                }
                Err(error @ (QueueError::NoQueue { .. } | QueueError::TooLarge { .. })) => {
                    Err((error, Some(self as Box<dyn Receipt>)))
                }
                Err(error) => Err((error, None)),
            };
            let _ = answer.send(forwarded);
        });
        heard.await.unwrap_or(Err((QueueError::Closed, None)))
    }

    fn abandon(self: Box<Self>) {
        if tokio::runtime::Handle::try_current().is_err() {
            // The process ends: with its connection all goes back.
            return;
        }
        let settles = self.0.shared.settles.clone();
        settles.spawn("RabbitMQ abandon", async move {
            let _ = self.0.put_back(Again::lost(Duration::ZERO)).await;
        });
    }
}
