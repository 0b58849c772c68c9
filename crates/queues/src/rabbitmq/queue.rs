//! The transport, and what its parts share.

use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use chassis::{guard::Backoff, lifecycle::Drain};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    consumer::RabbitConsumer,
    delay::Delays,
    desk::Desk,
    hold::Afloat,
    intake::Intake,
    link::{Link, Role},
    marks::Marks,
    options::{self, QueueType, RabbitOptions},
    publisher::{Parcel, Publisher, Sent},
    topology::{Seen, Topology},
    trim,
    trouble::{self, Refusal},
};
use crate::{Browsed, Consumer, Delivery, Promises, Put, Queue, QueueError, QueueSpec, QueueStats};

/// Queues on RabbitMQ.
#[derive(Debug)]
pub struct RabbitQueue {
    shared: Arc<Shared>,
}

/// What consumers, deliveries and tasks of one transport share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Arc<RabbitOptions>,
    pub(super) take: Arc<Link>,
    put: Arc<Link>,
    publisher: Publisher,
    pub(super) topology: Topology,
    pub(super) afloat: Afloat,
    pub(super) delays: Delays,
    pub(super) heads: trim::Heads,
    desks: Mutex<Vec<(Arc<str>, Weak<Desk>)>>,
    /// Nothing new may begin.
    pub(super) closing: CancellationToken,
    /// Everything ends.
    pub(super) closed: CancellationToken,
    /// Settles under way.
    pub(super) settles: Drain,
    /// Everything else.
    pub(super) tasks: Drain,
    exchange: Arc<str>,
    straight: Arc<str>,
}

impl RabbitQueue {
    /// A transport that connects when it has something to do.
    ///
    /// # Errors
    /// [`QueueError::BadUrl`] where the URL is none.
    pub fn new(url: &str, folder: &Path, options: RabbitOptions) -> Result<Self, QueueError> {
        let uri = options::read_url(url, &options.tls)?;
        let (tasks, closed) = (Drain::new(), CancellationToken::new());
        let link = |role| Arc::new(Link::new(uri.clone(), options.tls.clone(), folder, role, tasks.clone()));
        let (take, put) = (link(Role::Take), link(Role::Put));
        let options = Arc::new(options);
        let shared = Arc::new(Shared {
            publisher: Publisher::new(&put, &tasks, &closed),
            topology: Topology::new(Arc::clone(&options), Arc::clone(&take)),
            afloat: Afloat::default(),
            delays: Delays::default(),
            heads: trim::Heads::default(),
            desks: Mutex::default(),
            closing: CancellationToken::new(),
            closed,
            settles: Drain::new(),
            exchange: options.exchange.as_str().into(),
            straight: "".into(),
            tasks,
            take,
            put,
            options,
        });
        trim::start(&shared);
        Ok(Self { shared })
    }

    /// Ends this handle as its process would end it that is killed: nothing is written for it any more, nothing given back.
    /// For tests; its connections are for the caller to cut.
    #[doc(hidden)]
    pub fn stage_crash(&self) {
        self.shared.closing.cancel();
        self.shared.closed.cancel();
    }

    fn open(&self) -> Result<(), QueueError> {
        if self.shared.closing.is_cancelled() {
            Err(QueueError::Closed)
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Queue for RabbitQueue {
    fn promises(&self) -> Promises {
        Promises {
            order: true,
            lease: false,
            oldest: false,
            in_flight: false,
            browse: false,
            atomic_forward: false,
            durable: true,
            delay: true,
            deliveries: self.shared.options.queue_type == QueueType::Quorum,
            max_bytes: None,
        }
    }

    async fn declare(&self, queues: &[QueueSpec]) -> Result<(), QueueError> {
        self.open()?;
        for spec in queues {
            named(&spec.name)?;
        }
        self.shared.topology.declare(queues).await
    }

    async fn exists(&self, queue: &str) -> Result<bool, QueueError> {
        self.open()?;
        if named(queue).is_err() {
            return Ok(false);
        }
        Ok(self.shared.topology.look(queue).await?.is_some())
    }

    async fn put(&self, messages: Vec<Put>) -> Result<(), QueueError> {
        self.open()?;
        for put in &messages {
            named(&put.queue)?;
        }
        let parcels = messages.into_iter().map(|put| self.shared.parcel(put)).collect();
        self.shared.put_all(parcels, Some(PATIENCE)).await
    }

    async fn consume(&self, queue: &str, credit: usize) -> Result<Box<dyn Consumer>, QueueError> {
        self.open()?;
        named(queue)?;
        let missing = || QueueError::NoQueue {
            queue: queue.to_owned(),
        };
        if self.shared.topology.look(queue).await?.is_none() && !self.shared.topology.restore(queue).await? {
            return Err(missing());
        }
        let channel = self.shared.take.channel().await?;
        let (name, desk): (Arc<str>, _) = (queue.into(), Arc::new(Desk::new(channel, credit)));
        let mut intake = Intake::new(Arc::clone(&self.shared), Arc::clone(&name), Arc::clone(&desk));
        let opened = timeout(super::link::ANSWER, intake.open()).await;
        let opened = opened.map_err(|_| QueueError::Unavailable {
            why: format!("consume queue `{queue}`: RabbitMQ does not answer"),
            source: None,
        })?;
        opened.map_err(|error| match trouble::refusal(&error) {
            Some((Refusal::NotFound, _)) => missing(),
            Some((Refusal::Access, said)) => QueueError::Refused {
                what: format!(
                    "RabbitMQ does not let this user read queue `{queue}`: {}",
                    trouble::plain(&said)
                ),
                cure: "give it the right with `rabbitmqctl set_permissions`".to_owned(),
                source: Some(error.into()),
            },
            _ => trouble::away(format!("consume queue `{queue}`"), error),
        })?;
        self.shared.add_desk(Arc::clone(&name), &desk);
        self.shared.tasks.spawn("RabbitMQ intake", intake.run());
        Ok(Box::new(RabbitConsumer::new(Arc::clone(&self.shared), name, desk)))
    }

    async fn stats(&self) -> Result<Vec<QueueStats>, QueueError> {
        self.open()?;
        let mut all = Vec::new();
        for name in self.shared.topology.names() {
            if let Some(Seen { ready, consumers }) = self.shared.topology.look(&name).await? {
                let paused = self.shared.count_desks(&name, Desk::is_paused);
                all.push(QueueStats {
                    name,
                    depth: Some(ready),
                    in_flight: None,
                    delayed: None,
                    oldest: None,
                    consumers: Some(consumers + paused),
                });
            }
        }
        Ok(all)
    }

    async fn browse(&self, queue: &str, _after: Option<u64>, _limit: usize) -> Result<Vec<Browsed>, QueueError> {
        named(queue)?;
        Err(QueueError::Unsupported {
            transport: "RabbitMQ",
            what: "be looked into without taking",
        })
    }

    async fn claim(&self, queue: &str, _position: u64) -> Result<Option<Delivery>, QueueError> {
        named(queue)?;
        Err(QueueError::Unsupported {
            transport: "RabbitMQ",
            what: "give out one message out of its turn",
        })
    }

    async fn close(&self) {
        self.shared.close().await;
    }
}

impl Drop for RabbitQueue {
    fn drop(&mut self) {
        // Without a farewell: a handle that is to be kept is closed.
        self.stage_crash();
    }
}

impl Shared {
    /// A message for a queue, through the exchange.
    pub(super) fn parcel(&self, put: Put) -> Parcel {
        let Put { queue, body, trace } = put;
        let marks = Marks {
            put_at: self.topology.ages(&queue).then(now_ms),
            trace,
            ..Marks::default()
        };
        Parcel {
            exchange: Arc::clone(&self.exchange),
            key: self.options.key(&queue).into(),
            queue,
            body,
            marks,
            expires: None,
        }
    }

    /// A message for a queue by its name, past the exchange: a copy that must reach this queue and no other.
    pub(super) fn parcel_straight(&self, queue: &Arc<str>, body: Bytes, marks: Marks) -> Parcel {
        Parcel {
            exchange: Arc::clone(&self.straight),
            key: Arc::clone(queue),
            queue: Arc::clone(queue),
            body,
            marks,
            expires: None,
        }
    }

    /// Puts parcels and returns when all are safe. Those that are not safe after a try are tried again, for `patience`, or
    /// for as long as the queue is open.
    pub(super) async fn put_all(&self, parcels: Vec<Parcel>, patience: Option<Duration>) -> Result<(), QueueError> {
        let (mut left, mut tries) = (parcels, self.tries(patience));
        let (mut rechecked, mut failed) = (HashSet::new(), false);
        loop {
            let sent = self.publisher.send(left).await.ok_or(QueueError::Closed)?;
            let mut away: Option<Arc<str>> = None;
            let mut missing = HashSet::new();
            left = Vec::new();
            for (parcel, sent) in sent {
                match sent {
                    Sent::Safe => continue,
                    Sent::TooLarge(limit) => {
                        return Err(QueueError::TooLarge {
                            queue: parcel.queue.to_string(),
                            bytes: parcel.body.len() as u64,
                            limit,
                        });
                    }
                    Sent::Unroutable => {
                        missing.insert(Arc::clone(&parcel.queue));
                    }
                    Sent::NoExchange => away = Some(format!("exchange `{}` is not there", parcel.exchange).into()),
                    Sent::Away(why) => away = Some(why),
                }
                left.push(parcel);
            }
            if left.is_empty() {
                if failed {
                    info!(broker = self.put.broker(), "RabbitMQ takes messages again");
                }
                return Ok(());
            }
            if !missing.is_empty() {
                for queue in missing {
                    if !rechecked.insert(Arc::clone(&queue)) || !self.recheck(&queue).await? {
                        return Err(QueueError::NoQueue {
                            queue: queue.to_string(),
                        });
                    }
                }
                continue;
            }
            let why = away.unwrap_or_else(|| "RabbitMQ did not take it".into());
            let error = QueueError::Unavailable {
                why: why.to_string(),
                source: None,
            };
            if !std::mem::replace(&mut failed, true) {
                warn!(broker = self.put.broker(), %why, "a message cannot be put for now, trying again");
            }
            tries.failed(error).await?;
            if let Err(error @ QueueError::Refused { .. }) = self.topology.declare(&[]).await {
                warn!(%error, "RabbitMQ refuses the exchange");
            }
        }
    }

    /// Whether a queue that a message did not reach is to be tried once more: it was declared here, and again now, or it is
    /// there by now.
    async fn recheck(&self, queue: &str) -> Result<bool, QueueError> {
        let mut tries = self.tries(Some(PATIENCE));
        loop {
            match self.look_again(queue).await {
                Err(error) => tries.failed(error).await?,
                found => return found,
            }
        }
    }

    async fn look_again(&self, queue: &str) -> Result<bool, QueueError> {
        Ok(self.topology.restore(queue).await? || self.topology.look(queue).await?.is_some())
    }

    /// Tries of something that may fail for now: for `patience`, or for as long as the queue is open.
    pub(super) fn tries(&self, patience: Option<Duration>) -> Tries<'_> {
        Tries {
            closed: &self.closed,
            begun: Instant::now(),
            patience,
            steps: AWAY.steps(),
        }
    }

    /// Consumers of a queue in this process.
    pub(super) fn count_desks(&self, queue: &str, counts: impl Fn(&Desk) -> bool) -> u64 {
        let desks = self.lock_desks();
        let ours = desks.iter().filter(|(name, _)| &**name == queue);
        ours.filter_map(|(_, desk)| desk.upgrade())
            .filter(|desk| counts(desk))
            .count() as u64
    }

    fn add_desk(&self, queue: Arc<str>, desk: &Arc<Desk>) {
        let mut desks = self.lock_desks();
        desks.retain(|(_, desk)| desk.strong_count() > 0);
        desks.push((queue, Arc::downgrade(desk)));
    }

    async fn close(&self) {
        self.closing.cancel();
        let desks: Vec<_> = self
            .lock_desks()
            .iter()
            .filter_map(|(_, desk)| desk.upgrade())
            .collect();
        let quiet = async {
            for desk in &desks {
                desk.leave();
            }
            for desk in &desks {
                desk.quiet().await;
            }
            self.settles.wait(None).await;
        };
        if timeout(LAST_SETTLES, quiet).await.is_err() {
            warn!("RabbitMQ did not take every acknowledgement in time: what was not acknowledged comes again");
        }
        self.closed.cancel();
        drop(desks);
        tokio::join!(self.take.close(), self.put.close());
    }

    fn lock_desks(&self) -> MutexGuard<'_, Vec<(Arc<str>, Weak<Desk>)>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tries in a row.
pub(super) struct Tries<'a> {
    closed: &'a CancellationToken,
    begun: Instant,
    patience: Option<Duration>,
    steps: chassis::guard::Steps,
}

impl Tries<'_> {
    /// Waits before the next try.
    ///
    /// # Errors
    /// What failed, where another try is of no use or patience is over; [`QueueError::Closed`] when the queue is.
    pub(super) async fn failed(&mut self, error: QueueError) -> Result<(), QueueError> {
        let is_over = self.patience.is_some_and(|patience| self.begun.elapsed() >= patience);
        if !error.is_transient() || is_over {
            return Err(error);
        }
        let pause = tokio::time::sleep(self.steps.failed(None));
        self.closed.run_until_cancelled(pause).await.ok_or(QueueError::Closed)
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A queue that has a name RabbitMQ could know.
fn named(queue: &str) -> Result<(), QueueError> {
    if queue.is_empty() || queue.len() > LONGEST_NAME {
        return Err(QueueError::NoQueue {
            queue: queue.to_owned(),
        });
    }
    Ok(())
}

/// How long a put of a caller without a delivery is tried.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long settles under way have when the queue is closed.
const LAST_SETTLES: Duration = Duration::from_secs(5);
/// Between tries while the broker is away.
const AWAY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
/// In bytes: 255 is RabbitMQ's limit, and the names of delay and lease queues are longer than that of their queue.
const LONGEST_NAME: usize = 200;
