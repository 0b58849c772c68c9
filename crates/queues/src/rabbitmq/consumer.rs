//! Taking.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;

use super::{desk::Desk, queue::Shared, receipt::Handout};
use crate::{Consumer, Delivery, QueueError};

/// A consumer of one queue; its channel is served by a task.
#[derive(Debug)]
pub(super) struct RabbitConsumer {
    shared: Arc<Shared>,
    queue: Arc<str>,
    desk: Arc<Desk>,
}

/// How long a message that is ready at the broker may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

impl RabbitConsumer {
    pub(super) fn new(shared: Arc<Shared>, queue: Arc<str>, desk: Arc<Desk>) -> Self {
        Self { shared, queue, desk }
    }

    fn ready(&self) -> Result<Option<Delivery>, QueueError> {
        if self.shared.closing.is_cancelled() {
            return Err(QueueError::Closed);
        }
        let hold = self.desk.take()?;
        Ok(hold.map(|hold| Handout::new(Arc::clone(&self.shared), hold).deliver(Arc::clone(&self.desk))))
    }
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn take(&mut self) -> Result<Delivery, QueueError> {
        loop {
            if let Some(delivery) = self.ready()? {
                return Ok(delivery);
            }
            tokio::select! {
                () = self.desk.arrived() => {}
                () = self.shared.closing.cancelled() => {}
            }
        }
    }

    async fn take_now(&mut self) -> Result<Option<Delivery>, QueueError> {
        if let Some(delivery) = self.ready()? {
            return Ok(Some(delivery));
        }
        // The broker sends on its own: what is ready there may be on its way.
        let has_more = self.desk.has_room()
            && self
                .shared
                .topology
                .look(&self.queue)
                .await?
                .is_some_and(|seen| seen.ready > 0);
        if !has_more {
            return self.ready();
        }
        match timeout(ON_ITS_WAY, self.take()).await {
            Ok(taken) => taken.map(Some),
            Err(_) => Ok(None),
        }
    }

    fn set_credit(&self, credit: usize) {
        self.desk.set_credit(credit);
    }
}

impl Drop for RabbitConsumer {
    fn drop(&mut self) {
        self.desk.leave();
    }
}
