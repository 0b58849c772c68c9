//! How a delivery ends: outputs first, then the input; and how it goes back.
//!
//! What was begun goes on, whether somebody waits for it or not.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tracing::warn;

use super::{
    delay,
    desk::{Desk, Ending},
    detached::Detached,
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
        // It was not handed out, so nobody waits for its outcome.
        drop(Detached::new("RabbitMQ give back", &settles, async move {
            self.put_back(Again::UNCOUNTED).await
        }));
    }

    async fn done(&self) -> Result<(), QueueError> {
        let farewell = self.hold.end(Ending::Done);
        self.part(farewell).await
    }

    async fn put_back(&self, again: Again) -> Result<(), QueueError> {
        let kind = self.shared.options.queue_type;
        // Only a quorum queue counts, and it counts everything that goes back; the attempt is kept in a copy alone.
        let plain = again.after.is_zero() && again.attempt.is_none() && (again.counted || kind == QueueType::Classic);
        if plain {
            match self.hold.end(Ending::Requeue) {
                Farewell::Parked => {}
                farewell => return self.part(farewell).await,
            }
        }
        match self.put_copy(again).await {
            Ok(()) => self.done().await,
            Err(QueueError::Closed) => Err(QueueError::Closed),
            Err(error) => {
                // As it is then, and not at once: better than with nobody.
                warn!(queue = %self.hold.queue, %error, "a message cannot go back as it should, it goes back as it is");
                let pause = tokio::time::sleep(again.after.clamp(LEAST_PAUSE, LONGEST_PAUSE));
                self.shared
                    .closed
                    .run_until_cancelled(pause)
                    .await
                    .ok_or(QueueError::Closed)?;
                let farewell = self.hold.end(Ending::Requeue);
                self.part(farewell).await?;
                Err(error)
            }
        }
    }

    /// Puts a copy that says what is to be said of it.
    async fn put_copy(&self, again: Again) -> Result<(), QueueError> {
        let copy = self.copy(again);
        if again.after.is_zero() {
            let parcel = self
                .shared
                .parcel_straight(&self.hold.queue, self.hold.body.clone(), copy);
            self.shared.put_all(vec![parcel], None).await
        } else {
            delay::put(
                &self.shared,
                &self.hold.queue,
                self.hold.body.clone(),
                copy,
                again.after,
            )
            .await
        }
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

    async fn part(&self, farewell: Farewell) -> Result<(), QueueError> {
        match farewell {
            Farewell::Tell(desk, heard) => {
                desk.tell(&self.shared.afloat).await;
                let told = self.shared.closed.run_until_cancelled(hold::told(heard)).await;
                told.unwrap_or(Err(QueueError::Closed))
            }
            Farewell::Told(heard) => {
                let told = self.shared.closed.run_until_cancelled(hold::told(heard)).await;
                told.unwrap_or(Err(QueueError::Closed))
            }
            Farewell::Unpark(lease) => parking::remove(&self.shared, &lease, &self.hold).await,
            Farewell::Gone | Farewell::Parked => Err(QueueError::LeaseLost),
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
        let settles = self.0.shared.settles.clone();
        let settle = async move {
            match how {
                Settle::Done => self.0.done().await,
                Settle::Again(again) => self.0.put_back(again).await,
            }
        };
        Detached::new("RabbitMQ settle", &settles, settle).await
    }

    async fn forward(self: Box<Self>, outputs: Vec<Put>) -> Result<(), (QueueError, Option<Box<dyn Receipt>>)> {
        let settles = self.0.shared.settles.clone();
        let forward = async move {
            match self.0.put_outputs(outputs).await {
                Ok(()) => self.0.done().await.map_err(|error| (error, None)),
                Err(error @ (QueueError::NoQueue { .. } | QueueError::TooLarge { .. })) => {
                    Err((error, Some(self as Box<dyn Receipt>)))
                }
                Err(error) => Err((error, None)),
            }
        };
        Detached::new("RabbitMQ forward", &settles, forward).await
    }

    fn abandon(self: Box<Self>) {
        let settles = self.0.shared.settles.clone();
        drop(Detached::new("RabbitMQ abandon", &settles, async move {
            self.0.put_back(Again::lost(Duration::ZERO)).await
        }));
    }
}

/// Before a message goes back that could not wait as it should.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
