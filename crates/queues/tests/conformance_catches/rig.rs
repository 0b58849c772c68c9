//! A transport for testing the kit: it promises everything, can be crashed and silenced, and has one flaw.
//!
//! A place is a memory queue that outlives the handles on it. A handle keeps what it handed out in a session of its
//! own, so that a crash or the end of a lease can take it away. Each flaw is one `if` at the point where a real
//! transport could make that mistake.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use queues::{
    Again, Browsed, Consumer, Delivery, Promises, Put, Queue, QueueError, QueueSpec, QueueStats, Settle,
    conformance::{Harness, Staged},
    memory::MemoryQueue,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    flaw::Flaw,
    taking::{RigConsumer, RigReceipt},
};

pub(crate) const LEASE: Duration = Duration::from_millis(200);
const LIMIT: u64 = 2 * 1024 * 1024;

/// The harness: places by name.
pub(crate) struct Rig {
    flaw: Option<Flaw>,
    places: Mutex<BTreeMap<String, Arc<Place>>>,
}

/// What outlives the handles.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) memory: MemoryQueue,
    sessions: Mutex<Vec<Arc<Session>>>,
    consumers: AtomicU64,
}

/// One handle.
struct RigQueue {
    place: Arc<Place>,
    session: Arc<Session>,
}

/// What a handle holds.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) flaw: Option<Flaw>,
    pub(crate) memory: MemoryQueue,
    pub(crate) ended: CancellationToken,
    pub(crate) held: Mutex<BTreeMap<u64, Held>>,
    /// Messages whose end a flawed transport confirmed and did not write down.
    pub(crate) unwritten: Mutex<Vec<Put>>,
    pub(crate) failures: AtomicU32,
    silent_since: Mutex<Option<Instant>>,
    handed_out: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) inner: Delivery,
    since: Instant,
}

impl Rig {
    pub(crate) fn new(flaw: Option<Flaw>) -> Self {
        Self {
            flaw,
            places: Mutex::default(),
        }
    }

    fn place(&self, name: &str) -> Arc<Place> {
        let mut places = self.places.lock().unwrap();
        Arc::clone(places.entry(name.to_owned()).or_insert_with(|| {
            let memory = match self.flaw {
                Some(Flaw::IgnoresLimit) => MemoryQueue::new(),
                _ => MemoryQueue::new().with_max_bytes(LIMIT),
            };
            Arc::new(Place::new(memory))
        }))
    }

    /// The session behind a handle, which shows its address.
    fn session(&self, place: &str, queue: &Arc<dyn Queue>) -> Arc<Session> {
        let shown = format!("{queue:?}");
        let place = self.place(place);
        let sessions = place.sessions.lock().unwrap();
        Arc::clone(
            sessions
                .iter()
                .find(|session| shown == session.shown())
                .expect("a handle has its session"),
        )
    }
}

#[async_trait]
impl Harness for Rig {
    async fn open(&self, place: &str) -> Result<Arc<dyn Queue>, QueueError> {
        let mut place = self.place(place);
        if self.flaw == Some(Flaw::SecondHandleIsApart) && place.is_open() {
            place = Arc::new(Place::new(MemoryQueue::new()));
        }
        let session = Arc::new(Session {
            flaw: self.flaw,
            memory: place.memory.clone(),
            ended: CancellationToken::new(),
            held: Mutex::default(),
            unwritten: Mutex::default(),
            failures: AtomicU32::new(0),
            silent_since: Mutex::default(),
            handed_out: AtomicU64::new(0),
        });
        place.sessions.lock().unwrap().push(Arc::clone(&session));
        Ok(Arc::new(RigQueue { place, session }))
    }

    async fn crash(&self, place: &str, queue: Arc<dyn Queue>) -> Staged {
        let session = self.session(place, &queue);
        session.ended.cancel();
        let held = std::mem::take(&mut *session.held.lock().unwrap());
        for held in held.into_values() {
            match self.flaw {
                Some(Flaw::CrashLosesHeld) => held.inner.settle(Settle::Done).await.unwrap(),
                Some(Flaw::CrashForgetsCount) => held.inner.settle(Settle::Again(Again::UNCOUNTED)).await.unwrap(),
                _ => drop(held),
            }
        }
        session.forget_ends().await;
        if self.flaw == Some(Flaw::CrashLosesPuts) {
            lose_newest(&session.memory).await;
        }
        Staged::Done
    }

    async fn silence(&self, place: &str, queue: &Arc<dyn Queue>) -> Staged {
        *self.session(place, queue).silent_since.lock().unwrap() = Some(Instant::now());
        Staged::Done
    }

    async fn fail_settles(&self, place: &str, queue: &Arc<dyn Queue>, times: u32) -> Staged {
        self.session(place, queue).failures.store(times, Ordering::SeqCst);
        Staged::Done
    }

    fn lease(&self) -> Option<Duration> {
        Some(LEASE)
    }
}

/// As if the last put had been confirmed before it was synced.
async fn lose_newest(memory: &MemoryQueue) {
    for stats in memory.stats().await.unwrap() {
        let newest = memory.browse(&stats.name, None, usize::MAX).await.unwrap().pop();
        if let Some(newest) = newest
            && let Some(delivery) = memory.claim(&stats.name, newest.position).await.unwrap()
        {
            delivery.settle(Settle::Done).await.unwrap();
        }
    }
}

impl Place {
    fn new(memory: MemoryQueue) -> Self {
        Self {
            memory,
            sessions: Mutex::default(),
            consumers: AtomicU64::new(0),
        }
    }

    fn is_open(&self) -> bool {
        self.sessions
            .lock()
            .unwrap()
            .iter()
            .any(|session| session.open().is_ok())
    }

    /// Takes away what silent holders held for longer than the lease.
    pub(crate) fn reap(&self) {
        for session in &*self.sessions.lock().unwrap() {
            session.reap();
        }
    }
}

impl Session {
    fn shown(self: &Arc<Self>) -> String {
        format!("RigQueue {:p}", Arc::as_ptr(self))
    }

    fn reap(&self) {
        let silent = *self.silent_since.lock().unwrap();
        let lost = match self.flaw {
            Some(Flaw::LeaseNeverEnds) => return,
            Some(Flaw::LeaseNotRenewed) => true,
            _ => silent.is_some_and(|since| since.elapsed() > LEASE),
        };
        if lost {
            self.held
                .lock()
                .unwrap()
                .retain(|_, held| held.since.elapsed() <= LEASE);
        }
    }

    /// What was confirmed and not written is as it was before.
    async fn forget_ends(&self) {
        let unwritten = std::mem::take(&mut *self.unwritten.lock().unwrap());
        self.memory.put(unwritten).await.unwrap();
    }

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    pub(crate) fn open(&self) -> Result<(), QueueError> {
        if self.ended.is_cancelled() {
            Err(QueueError::Closed)
        } else {
            Ok(())
        }
    }

    /// Keeps the memory queue's delivery and hands out one of ours.
    pub(crate) fn hand_out(self: &Arc<Self>, inner: Delivery) -> Delivery {
        let (queue, mut body, mut tally) = (Arc::clone(inner.queue()), inner.body().clone(), inner.tally());
        if self.has(Flaw::CutsBodies) {
            body.truncate(64 * 1024);
        }
        if self.has(Flaw::EndsBodiesAtNul) {
            body.truncate(body.iter().position(|byte| *byte == 0).unwrap_or(body.len()));
        }
        if self.has(Flaw::InventsAttempt) {
            tally.attempt = tally.attempt.or(Some(1));
        }
        let number = self.handed_out.fetch_add(1, Ordering::SeqCst);
        self.held.lock().unwrap().insert(
            number,
            Held {
                inner,
                since: Instant::now(),
            },
        );
        Delivery::new(queue, body, tally, Box::new(RigReceipt::new(Arc::clone(self), number)))
    }

    pub(crate) fn keep(&self, number: u64, inner: Delivery) {
        self.held.lock().unwrap().insert(
            number,
            Held {
                inner,
                since: Instant::now(),
            },
        );
    }

    pub(crate) fn let_go(&self, number: u64) -> Option<Delivery> {
        self.held.lock().unwrap().remove(&number).map(|held| held.inner)
    }
}

impl fmt::Debug for RigQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.session.shown())
    }
}

#[async_trait]
impl Queue for RigQueue {
    fn promises(&self) -> Promises {
        let guesses = self.session.has(Flaw::GuessesFigures);
        Promises {
            lease: true,
            durable: true,
            max_bytes: Some(LIMIT),
            oldest: !guesses,
            ..self.session.memory.promises()
        }
    }

    async fn declare(&self, queues: &[QueueSpec]) -> Result<(), QueueError> {
        self.session.open()?;
        if self.session.has(Flaw::DeclareEmpties) {
            for spec in queues {
                while let Ok(Some(delivery)) = first(&self.session.memory, &spec.name).await {
                    delivery.settle(Settle::Done).await?;
                }
            }
        }
        if self.session.has(Flaw::NeverTrims) {
            let specs: Vec<_> = queues
                .iter()
                .map(|spec| QueueSpec {
                    retention: None,
                    ..spec.clone()
                })
                .collect();
            return self.session.memory.declare(&specs).await;
        }
        self.session.memory.declare(queues).await
    }

    async fn exists(&self, queue: &str) -> Result<bool, QueueError> {
        self.session.open()?;
        self.session.memory.exists(queue).await
    }

    async fn put(&self, mut messages: Vec<Put>) -> Result<(), QueueError> {
        self.session.open()?;
        if self.session.has(Flaw::PutsBackwards) {
            messages.reverse();
        }
        if self.session.has(Flaw::PutDeclares) {
            for put in &messages {
                self.session
                    .memory
                    .declare(&[QueueSpec::new(Arc::clone(&put.queue))])
                    .await?;
            }
        }
        if self.session.has(Flaw::PutsOneByOne) {
            for put in messages {
                self.session.memory.put(vec![put]).await?;
            }
            return Ok(());
        }
        if self.session.has(Flaw::DuplicatesOneInThousands)
            && let Some(put) = messages.iter().find(|put| put.body == "7777").cloned()
        {
            messages.push(put);
        }
        self.session.memory.put(messages).await
    }

    async fn consume(&self, queue: &str, credit: usize) -> Result<Box<dyn Consumer>, QueueError> {
        self.session.open()?;
        if self.session.has(Flaw::HangsOnUndeclared) && !self.session.memory.exists(queue).await? {
            std::future::pending::<()>().await;
        }
        if self.session.has(Flaw::ConsumingRepeatsSettled) {
            self.session.forget_ends().await;
        }
        let ignored = self.session.has(Flaw::IgnoresCredit) && credit > 0;
        let inner = self
            .session
            .memory
            .consume(queue, if ignored { usize::MAX } else { credit })
            .await?;
        let number = self.place.consumers.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(RigConsumer::new(
            Arc::clone(&self.place),
            Arc::clone(&self.session),
            inner,
            number,
        )))
    }

    async fn stats(&self) -> Result<Vec<QueueStats>, QueueError> {
        self.session.open()?;
        assert!(!self.session.has(Flaw::PanicsInStats), "no figures today");
        let mut all = self.session.memory.stats().await?;
        for stats in &mut all {
            match self.session.flaw {
                Some(Flaw::CountsHeldAsReady) => stats.depth = stats.depth.zip(stats.in_flight).map(|(a, b)| a + b),
                Some(Flaw::ForgetsInFlight) => stats.in_flight = Some(0),
                Some(Flaw::ForgetsDelayed) => stats.delayed = Some(0),
                Some(Flaw::CountsConsumersOnce) => stats.consumers = stats.consumers.map(|count| count.min(1)),
                Some(Flaw::HalvesAges) => stats.oldest = stats.oldest.map(|oldest| oldest / 2),
                _ => {}
            }
        }
        if self.session.has(Flaw::ListsUnsorted) {
            all.reverse();
        }
        Ok(all)
    }

    async fn browse(&self, queue: &str, after: Option<u64>, limit: usize) -> Result<Vec<Browsed>, QueueError> {
        self.session.open()?;
        if self.session.has(Flaw::BrowsingCounts) {
            drop(first(&self.session.memory, queue).await?);
        }
        let after = if self.session.has(Flaw::BrowsingRepeats) {
            after.map(|after| after - 1)
        } else {
            after
        };
        let mut seen = self.session.memory.browse(queue, after, limit).await?;
        if self.session.has(Flaw::BrowsingHidesHolders) {
            for message in &mut seen {
                message.in_flight = false;
            }
        }
        Ok(seen)
    }

    async fn claim(&self, queue: &str, position: u64) -> Result<Option<Delivery>, QueueError> {
        self.session.open()?;
        let inner = match self.session.flaw {
            Some(Flaw::ClaimsTheFirst) => first(&self.session.memory, queue).await?,
            _ => self.session.memory.claim(queue, position).await?,
        };
        Ok(inner.map(|inner| self.session.hand_out(inner)))
    }

    async fn close(&self) {
        if self.session.has(Flaw::CloseForgetsTakes) {
            return;
        }
        self.session.ended.cancel();
        if self.session.has(Flaw::CloseLosesSettled) {
            self.session.forget_ends().await;
        }
        self.session.held.lock().unwrap().clear();
    }
}

async fn first(memory: &MemoryQueue, queue: &str) -> Result<Option<Delivery>, QueueError> {
    for message in memory.browse(queue, None, usize::MAX).await? {
        if let Some(delivery) = memory.claim(queue, message.position).await? {
            return Ok(Some(delivery));
        }
    }
    Ok(None)
}
