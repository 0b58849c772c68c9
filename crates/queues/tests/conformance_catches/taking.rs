//! The rig's consumers and receipts.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use queues::{Again, Consumer, Delivery, ForwardError, Put, Queue, QueueError, Receipt, Settle};
use tokio::time::sleep;

use crate::{
    flaw::Flaw,
    rig::{LEASE, Place, Session},
};

#[derive(Debug)]
pub(crate) struct RigConsumer {
    place: Arc<Place>,
    session: Arc<Session>,
    inner: Box<dyn Consumer>,
    number: u64,
    /// What a flawed consumer fetched ahead.
    ahead: Option<Delivery>,
}

pub(crate) struct RigReceipt {
    session: Arc<Session>,
    number: u64,
}

impl RigConsumer {
    pub(crate) fn new(place: Arc<Place>, session: Arc<Session>, inner: Box<dyn Consumer>, number: u64) -> Self {
        Self {
            place,
            session,
            inner,
            number,
            ahead: None,
        }
    }
}

#[async_trait]
impl Consumer for RigConsumer {
    async fn take(&mut self) -> Result<Delivery, QueueError> {
        if self.session.has(Flaw::StarvesTheSecond) && self.number % 2 == 1 {
            sleep(Duration::from_millis(30)).await;
        }
        loop {
            self.session.open()?;
            self.place.reap();
            if let Some(ahead) = self.ahead.take() {
                return Ok(self.session.hand_out(ahead));
            }
            if self.session.has(Flaw::SleepsThroughPuts) {
                match self.inner.take_now().await? {
                    Some(inner) => return Ok(self.session.hand_out(inner)),
                    None => self.session.ended.cancelled().await,
                }
            }
            let inner = tokio::select! {
                biased;
                () = self.session.ended.cancelled() => return Err(QueueError::Closed),
                taken = self.inner.take() => taken?,
                () = sleep(LEASE / 8) => continue,
            };
            if self.session.has(Flaw::KeepsWhatItFetched) {
                self.ahead = self.inner.take_now().await?;
            }
            if self.session.has(Flaw::GivenUpTakesLose) {
                let taken = Lossy(Some(inner));
                sleep(Duration::from_millis(2)).await;
                return Ok(self.session.hand_out(taken.keep()));
            }
            return Ok(self.session.hand_out(inner));
        }
    }

    async fn take_now(&mut self) -> Result<Option<Delivery>, QueueError> {
        self.session.open()?;
        if self.session.has(Flaw::TakesNothingNow) {
            return Ok(None);
        }
        Ok(self.inner.take_now().await?.map(|inner| self.session.hand_out(inner)))
    }

    fn set_credit(&self, credit: usize) {
        match self.session.flaw {
            Some(Flaw::IgnoresCredit) if credit > 0 => self.inner.set_credit(usize::MAX),
            Some(Flaw::CreditStays) if credit > 0 => {}
            Some(Flaw::NeverPauses) if credit == 0 => {}
            _ => self.inner.set_credit(credit),
        }
    }
}

impl Drop for RigConsumer {
    fn drop(&mut self) {
        // Neither settled nor given back.
        std::mem::forget(self.ahead.take());
    }
}

/// A delivery that is lost where its taker gives up.
struct Lossy(Option<Delivery>);

impl Lossy {
    fn keep(mut self) -> Delivery {
        self.0.take().expect("kept once")
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        std::mem::forget(self.0.take());
    }
}

impl RigReceipt {
    pub(crate) fn new(session: Arc<Session>, number: u64) -> Self {
        Self { session, number }
    }

    /// Meets the failures that were ordered; `None` where a flawed transport gives up.
    async fn survive_failures(&self) -> Option<()> {
        while self.session.failures.load(Ordering::SeqCst) > 0 {
            self.session.failures.fetch_sub(1, Ordering::SeqCst);
            if self.session.has(Flaw::FailedSettleIsForgotten) {
                return None;
            }
            tokio::task::yield_now().await;
        }
        Some(())
    }

    fn flawed(&self, how: Settle) -> Settle {
        let Settle::Again(again) = how else { return how };
        Settle::Again(match self.session.flaw {
            Some(Flaw::ForgetsAttempt) => Again { attempt: None, ..again },
            Some(Flaw::CountsAll) => Again { counted: true, ..again },
            Some(Flaw::CountsNone) => Again {
                counted: false,
                ..again
            },
            Some(Flaw::ForgetsDelay) => Again {
                after: Duration::ZERO,
                ..again
            },
            Some(Flaw::IsLate) if !again.after.is_zero() => again.after(again.after + Duration::from_secs(1)),
            Some(Flaw::IsEarly) => again.after(again.after * 9 / 10),
            _ => again,
        })
    }
}

#[async_trait]
impl Receipt for RigReceipt {
    async fn settle(self: Box<Self>, how: Settle) -> Result<(), QueueError> {
        self.session.open()?;
        if self.session.has(Flaw::SettleNeedsItsFuture) {
            tokio::task::yield_now().await;
        }
        let Some(inner) = self.session.let_go(self.number) else {
            return if self.session.has(Flaw::LateSettleSucceeds) {
                Ok(())
            } else {
                Err(QueueError::LeaseLost)
            };
        };
        if self.survive_failures().await.is_none() {
            return Ok(());
        }
        match (how, self.session.flaw) {
            (
                Settle::Done,
                Some(Flaw::ConfirmsBeforeWriting | Flaw::CloseLosesSettled | Flaw::ConsumingRepeatsSettled),
            ) => {
                let put = Put::new(Arc::clone(inner.queue()), inner.body().clone());
                self.session.unwritten.lock().unwrap().push(put);
                inner.settle(how).await
            }
            (Settle::Again(_), Some(Flaw::AgainIsDone)) => inner.settle(Settle::Done).await,
            _ => inner.settle(self.flawed(how)).await,
        }
    }

    async fn forward(self: Box<Self>, outputs: Vec<Put>) -> Result<(), (QueueError, Option<Box<dyn Receipt>>)> {
        self.session.open().map_err(|closed| (closed, None))?;
        if self.session.has(Flaw::LateForwardPuts) {
            let _ = self.session.memory.put(outputs.clone()).await;
        }
        let Some(inner) = self.session.let_go(self.number) else {
            return Err((QueueError::LeaseLost, None));
        };
        let outputs = match self.session.flaw {
            Some(Flaw::LateForwardPuts) => Vec::new(),
            Some(Flaw::ForwardDropsOutputs) => outputs.into_iter().take(1).collect(),
            Some(Flaw::ForwardOfNothingDoesNothing) if outputs.is_empty() => return Ok(()),
            Some(Flaw::ForwardKeepsCredit) => {
                let put = self.session.memory.put(outputs).await;
                if let Err(error) = put {
                    self.session.keep(self.number, inner);
                    return Err((error, Some(self)));
                }
                std::mem::forget(inner);
                return Ok(());
            }
            Some(Flaw::ForwardSettlesFirst) => {
                inner.settle(Settle::Done).await.map_err(|error| (error, None))?;
                let put = self.session.memory.put(outputs).await;
                return put.map_err(|error| (error, Some(self as Box<dyn Receipt>)));
            }
            Some(Flaw::ForwardPutsWhatItCan) => {
                for put in &outputs {
                    if let Err(error) = self.session.memory.put(vec![put.clone()]).await {
                        self.session.keep(self.number, inner);
                        return Err((error, Some(self)));
                    }
                }
                Vec::new()
            }
            _ => outputs,
        };
        match inner.forward(outputs).await {
            Ok(()) => Ok(()),
            Err(ForwardError::Refused { delivery, error }) => {
                self.session.keep(self.number, *delivery);
                Err((error, Some(self)))
            }
            Err(ForwardError::Unsettled(error)) => Err((error, None)),
        }
    }

    fn abandon(self: Box<Self>) {
        let inner = self.session.let_go(self.number);
        let lost = match self.session.flaw {
            Some(Flaw::LosesPanicked) => std::thread::panicking(),
            Some(Flaw::LosesDropped) => !std::thread::panicking(),
            _ => false,
        };
        if lost {
            std::mem::forget(inner);
        }
    }
}
