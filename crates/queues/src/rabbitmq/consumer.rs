//! Taking.

use std::sync::Arc;

use async_trait::async_trait;

use super::{desk::Desk, queue::Shared, receipt::Handout};
use crate::{Consumer, Delivery, QueueError};

/// A consumer of one queue; its channel is served by a task.
#[derive(Debug)]
pub(super) struct RabbitConsumer {
    shared: Arc<Shared>,
    desk: Arc<Desk>,
}

impl RabbitConsumer {
    pub(super) fn new(shared: Arc<Shared>, desk: Arc<Desk>) -> Self {
        Self { shared, desk }
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
        self.ready()
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
