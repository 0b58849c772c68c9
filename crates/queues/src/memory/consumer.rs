//! Taking and settling.
//!
//! A consumer claims a message only when it is asked for one, so there is never anything to give back that was not
//! handed out.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::queue::{Hall, hand_out};
use crate::{Again, Consumer, Delivery, Put, QueueError, Receipt, Settle};

/// What a consumer may hold and holds; shared with the receipts of its deliveries.
#[derive(Debug)]
pub(super) struct Share {
    number: u64,
    credit: AtomicUsize,
    unsettled: AtomicUsize,
    freed: Notify,
}

#[derive(Debug)]
pub(super) struct MemoryConsumer {
    hall: Arc<Hall>,
    queue: Arc<str>,
    arrived: Arc<Notify>,
    share: Arc<Share>,
    max_bytes: Option<u64>,
}

pub(super) struct MemoryReceipt {
    hall: Arc<Hall>,
    queue: Arc<str>,
    position: u64,
    share: Option<Arc<Share>>,
    max_bytes: Option<u64>,
}

/// What a consumer finds when it looks.
enum Found {
    Message(Delivery),
    Nothing { until: Option<Instant> },
    NoCredit,
}

impl Share {
    pub(super) fn new(number: u64, credit: usize) -> Self {
        Self {
            number,
            credit: AtomicUsize::new(credit),
            unsettled: AtomicUsize::new(0),
            freed: Notify::new(),
        }
    }

    fn is_used_up(&self) -> bool {
        self.unsettled.load(Ordering::SeqCst) >= self.credit.load(Ordering::SeqCst)
    }
}

impl MemoryConsumer {
    pub(super) fn new(
        hall: Arc<Hall>,
        queue: Arc<str>,
        arrived: Arc<Notify>,
        share: Arc<Share>,
        max_bytes: Option<u64>,
    ) -> Self {
        Self {
            hall,
            queue,
            arrived,
            share,
            max_bytes,
        }
    }

    fn look(&self) -> Result<Found, QueueError> {
        let mut state = self.hall.open()?;
        let (queue, line) = state.find(&self.queue)?;
        if self.share.is_used_up() {
            line.pass_on();
            return Ok(Found::NoCredit);
        }
        let Some(claimed) = line.take(self.share.number, Instant::now()) else {
            return Ok(Found::Nothing { until: line.next_due() });
        };
        self.share.unsettled.fetch_add(1, Ordering::SeqCst);
        let share = Some(Arc::clone(&self.share));
        Ok(Found::Message(hand_out(
            &self.hall,
            queue,
            claimed,
            share,
            self.max_bytes,
        )))
    }

    fn others_first(&self) -> Result<bool, QueueError> {
        Ok(self.hall.open()?.find(&self.queue)?.1.others_first(self.share.number))
    }
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn take(&mut self) -> Result<Delivery, QueueError> {
        if self.others_first()? {
            tokio::task::yield_now().await;
        }
        loop {
            // While it has no credit it must not listen: the news of a message is for those that may take it.
            while self.share.is_used_up() {
                tokio::select! {
                    () = self.share.freed.notified() => {}
                    () = self.hall.closed() => return Err(QueueError::Closed),
                }
            }
            // Listening begins before looking, so that nothing arrives unheard in between.
            let mut arrived = std::pin::pin!(self.arrived.notified());
            arrived.as_mut().enable();
            match self.look()? {
                Found::Message(delivery) => return Ok(delivery),
                Found::NoCredit => {}
                Found::Nothing { until } => tokio::select! {
                    () = arrived => {}
                    () = self.share.freed.notified() => {}
                    () = self.hall.closed() => {}
                    () = due(until) => {}
                },
            }
        }
    }

    async fn take_now(&mut self) -> Result<Option<Delivery>, QueueError> {
        match self.look()? {
            Found::Message(delivery) => Ok(Some(delivery)),
            Found::Nothing { .. } | Found::NoCredit => Ok(None),
        }
    }

    fn set_credit(&self, credit: usize) {
        self.share.credit.store(credit, Ordering::SeqCst);
        self.share.freed.notify_one();
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        if let Ok((_, line)) = self.hall.lock().find(&self.queue) {
            line.leave(Instant::now());
        }
    }
}

impl MemoryReceipt {
    pub(super) fn new(
        hall: Arc<Hall>,
        queue: Arc<str>,
        position: u64,
        share: Option<Arc<Share>>,
        max_bytes: Option<u64>,
    ) -> Self {
        Self {
            hall,
            queue,
            position,
            share,
            max_bytes,
        }
    }

    fn end(&self, how: Settle) -> Result<(), QueueError> {
        let mut state = self.hall.open()?;
        let (_, line) = state.find(&self.queue)?;
        let held = match how {
            Settle::Done => line.finish(self.position),
            Settle::Again(again) => line.put_back(self.position, again, Instant::now()),
        };
        if held { Ok(()) } else { Err(QueueError::LeaseLost) }
    }
}

#[async_trait]
impl Receipt for MemoryReceipt {
    async fn settle(self: Box<Self>, how: Settle) -> Result<(), QueueError> {
        self.end(how)
    }

    async fn forward(self: Box<Self>, outputs: Vec<Put>) -> Result<(), (QueueError, Option<Box<dyn Receipt>>)> {
        let refusal = {
            let mut state = self.hall.open().map_err(|closed| (closed, None))?;
            match state.check(&outputs, self.max_bytes) {
                Ok(()) => {
                    let (_, line) = state.find(&self.queue).map_err(|gone| (gone, None))?;
                    if !line.finish(self.position) {
                        return Err((QueueError::LeaseLost, None));
                    }
                    state.put(outputs);
                    return Ok(());
                }
                Err(refusal) => refusal,
            }
        };
        Err((refusal, Some(self)))
    }

    fn abandon(self: Box<Self>) {
        // Closed in the meantime: there is nothing left to go back to.
        let _ = self.end(Settle::Again(Again {
            counted: true,
            ..Again::UNCOUNTED
        }));
    }
}

impl Drop for MemoryReceipt {
    fn drop(&mut self) {
        if let Some(share) = &self.share {
            share.unsettled.fetch_sub(1, Ordering::SeqCst);
            share.freed.notify_one();
        }
    }
}

async fn due(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}
