//! The public handles: the queue, its consumers and the receipts of their deliveries.

use std::{fmt, path::Path, sync::Arc};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::{
    fault::Fault,
    holder::Place,
    keeper::Keeper,
    options::SqliteOptions,
    protocol::{Claim, Given, MAX_BODY, Request},
    session::{Session, Tray},
};
use crate::{
    Again, Browsed, Consumer, Delivery, Promises, Put, Queue, QueueError, QueueSpec, QueueStats, Receipt, Settle, Tally,
};

/// The durable queue in one file, shared by every process that opens it.
///
/// Its last handle, consumer or delivery to go lets the file go; [`Queue::close`] also waits for that.
pub struct SqliteQueue {
    handle: Arc<Handle>,
}

/// Keeps the session while anything of it is in use.
struct Handle(Arc<Session>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl SqliteQueue {
    /// Opens the file, or creates it; becomes its owner or finds the process that is.
    ///
    /// # Errors
    /// [`QueueError::Unusable`] where the file or its folder cannot be used, [`QueueError::Full`] on a full disk.
    ///
    /// # Cancellation
    /// Dropping the future lets the file go again.
    pub async fn open(options: SqliteOptions) -> Result<Self, QueueError> {
        let path = options.path.clone();
        let told = path.clone();
        let started = tokio::task::spawn_blocking(move || start(options));
        let (handle, opened) = match started.await {
            Ok(started) => started.map_err(|fault| fault.into_error(&told))?,
            Err(_) => return Err(QueueError::Closed),
        };
        match opened.await {
            Ok(Ok(())) => Ok(Self { handle }),
            Ok(Err(fault)) => Err(fault.into_error(&path)),
            Err(_) => Err(QueueError::Closed),
        }
    }

    /// Ends this handle as if its process had been killed, for tests of what comes after.
    #[doc(hidden)]
    pub fn stage_crash(&self) {
        self.session().crash();
    }

    /// Renews no lease from now on, as a process that was stopped, for tests.
    #[doc(hidden)]
    pub fn stage_silence(&self) {
        self.session().silence();
    }

    /// Lets the next settles meet a full disk, for tests; whether this process has the writer.
    #[doc(hidden)]
    pub fn stage_failing_settles(&self, times: u32) -> bool {
        self.session().fail_settles(times)
    }

    pub(super) fn session(&self) -> &Session {
        &self.handle.0
    }

    fn error(&self, fault: Fault) -> QueueError {
        fault.into_error(&self.session().path)
    }

    fn delivery(&self, queue: &Arc<str>, given: Given) -> Delivery {
        deliver(&self.handle, queue, given)
    }
}

/// How the opening went, once it is known.
type Opened = oneshot::Receiver<Result<(), Fault>>;

fn start(options: SqliteOptions) -> Result<(Arc<Handle>, Opened), Fault> {
    let place = Place::prepare(&options.path)?;
    let lock = place.holder()?;
    let session = Arc::new(Session::new(place.file.clone(), lock.holder));
    let (opened, is_open) = oneshot::channel();
    let handle = Arc::new(Handle(session.clone()));
    let keeper = Keeper {
        session,
        place,
        options,
        lock,
        opened: Some(opened),
    };
    keeper.start()?;
    Ok((handle, is_open))
}

/// Opens what follows `sqlite:` in a URL, relative to a folder.
///
/// # Errors
/// As [`SqliteQueue::open`], and [`QueueError::BadUrl`] for a parameter that is not understood.
pub async fn open(rest: &str, folder: &Path) -> Result<Arc<dyn Queue>, QueueError> {
    let options = SqliteOptions::parse(rest, folder)?;
    Ok(Arc::new(SqliteQueue::open(options).await?))
}

#[async_trait]
impl Queue for SqliteQueue {
    fn promises(&self) -> Promises {
        Promises {
            order: true,
            lease: true,
            oldest: true,
            in_flight: true,
            browse: true,
            atomic_forward: true,
            durable: true,
            delay: true,
            deliveries: true,
            max_bytes: Some(MAX_BODY),
        }
    }

    async fn declare(&self, queues: &[QueueSpec]) -> Result<(), QueueError> {
        let declared = self.session().call(Request::Declare(queues.to_vec())).await;
        declared.map(drop).map_err(|fault| self.error(fault))
    }

    async fn exists(&self, queue: &str) -> Result<bool, QueueError> {
        let exists = self.session().exists(queue.into()).await;
        exists.map_err(|fault| self.error(fault))
    }

    async fn put(&self, messages: Vec<Put>) -> Result<(), QueueError> {
        let put = self.session().put(messages).await;
        put.map_err(|fault| self.error(fault))
    }

    async fn consume(&self, queue: &str, credit: usize) -> Result<Box<dyn Consumer>, QueueError> {
        let started = self.session().consume(queue.into(), credit as u64).await;
        let (number, tray) = started.map_err(|fault| self.error(fault))?;
        Ok(Box::new(SqliteConsumer {
            handle: self.handle.clone(),
            number,
            tray,
        }))
    }

    async fn stats(&self) -> Result<Vec<QueueStats>, QueueError> {
        let stats = self.session().stats().await;
        stats.map_err(|fault| self.error(fault))
    }

    async fn browse(&self, queue: &str, after: Option<u64>, limit: usize) -> Result<Vec<Browsed>, QueueError> {
        let found = self.session().browse(&queue.into(), after, limit).await;
        found.map_err(|fault| self.error(fault))
    }

    async fn claim(&self, queue: &str, position: u64) -> Result<Option<Delivery>, QueueError> {
        let queue: Arc<str> = queue.into();
        let taken = self.session().take(queue.clone(), position).await;
        let given = taken.map_err(|fault| self.error(fault))?;
        Ok(given.map(|given| self.delivery(&queue, given)))
    }

    async fn close(&self) {
        self.session().close().await;
    }
}

impl fmt::Debug for SqliteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteQueue")
            .field("path", &self.session().path)
            .finish_non_exhaustive()
    }
}

/// A standing request for the messages of one queue in the file.
struct SqliteConsumer {
    handle: Arc<Handle>,
    number: u64,
    tray: Arc<Tray>,
}

impl SqliteConsumer {
    fn error(&self, fault: Fault) -> QueueError {
        fault.into_error(&self.handle.0.path)
    }

    fn delivery(&self, given: Given) -> Delivery {
        deliver(&self.handle, &self.tray.queue, given)
    }
}

#[async_trait]
impl Consumer for SqliteConsumer {
    async fn take(&mut self) -> Result<Delivery, QueueError> {
        let taken = self.tray.take().await;
        let given = taken.map_err(|fault| self.error(fault))?;
        Ok(self.delivery(given))
    }

    async fn take_now(&mut self) -> Result<Option<Delivery>, QueueError> {
        let mut taken = self.tray.take_now();
        if matches!(taken, Ok(None)) {
            let asked = self.handle.0.call(Request::Poll).await;
            taken = asked.and_then(|_| self.tray.take_now());
        }
        let given = taken.map_err(|fault| self.error(fault))?;
        Ok(given.map(|given| self.delivery(given)))
    }

    fn set_credit(&self, credit: usize) {
        self.handle.0.set_credit(self.number, &self.tray, credit as u64);
    }
}

impl Drop for SqliteConsumer {
    fn drop(&mut self) {
        self.handle.0.end_consumer(self.number);
    }
}

impl fmt::Debug for SqliteConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteConsumer")
            .field("queue", &self.tray.queue)
            .finish_non_exhaustive()
    }
}

fn deliver(handle: &Arc<Handle>, queue: &Arc<str>, given: Given) -> Delivery {
    let tally = Tally {
        attempt: given.mark.attempt,
        deliveries: Some(given.mark.deliveries),
    };
    let receipt = SqliteReceipt {
        handle: handle.clone(),
        claim: given.claim,
    };
    Delivery::new(queue.clone(), given.body, tally, Box::new(receipt))
}

/// The right to settle one delivery.
struct SqliteReceipt {
    handle: Arc<Handle>,
    claim: Claim,
}

impl SqliteReceipt {
    async fn call(&self, request: Request) -> Result<(), Fault> {
        self.handle.0.call(request).await.map(drop)
    }

    fn error(&self, fault: Fault) -> QueueError {
        fault.into_error(&self.handle.0.path)
    }
}

#[async_trait]
impl Receipt for SqliteReceipt {
    async fn settle(self: Box<Self>, how: Settle) -> Result<(), QueueError> {
        let claim = self.claim;
        let settled = self.call(Request::Settle { claim, how }).await;
        settled.map_err(|fault| self.error(fault))
    }

    async fn forward(self: Box<Self>, outputs: Vec<Put>) -> Result<(), (QueueError, Option<Box<dyn Receipt>>)> {
        let claim = self.claim;
        match self.call(Request::Forward { claim, outputs }).await {
            Ok(()) => Ok(()),
            Err(fault @ (Fault::NoQueue(_) | Fault::TooLarge { .. })) => Err((self.error(fault), Some(self))),
            Err(fault) => Err((self.error(fault), None)),
        }
    }

    fn abandon(self: Box<Self>) {
        let (claim, how) = (self.claim, Settle::Again(Again::lost(std::time::Duration::ZERO)));
        self.handle.0.tell(Request::Settle { claim, how });
    }
}
