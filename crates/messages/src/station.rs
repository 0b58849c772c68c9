//! Takes messages for one actor while a handler has room for them.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use chassis::{
    guard::Backoff,
    lifecycle::{Component, Drain},
};
use handlers::{Pool, Slot};
use queues::{Consumer, Queue, QueueError};
use tracing::{debug, info, warn};

use crate::{
    ActorConfig, Metrics,
    dispatch::{Dispatch, End},
    events::Courier,
    fate::{Kind, Policy},
    span::Tracing,
    step::{self, Actor},
};

/// One actor's intake.
#[derive(Debug)]
pub struct Station {
    actor: Arc<Actor>,
    source: Arc<str>,
    queue: Arc<dyn Queue>,
    pool: Pool,
    concurrency: usize,
    health: Component,
}

/// What the stations of one process share.
#[derive(Debug, Clone)]
pub struct Plane {
    queue: Arc<dyn Queue>,
    prefix: Arc<str>,
    dispatch: Arc<Dispatch>,
    ends: [Arc<str>; 2],
    courier: Courier,
    metrics: Metrics,
    tracing: Tracing,
    observer: Option<Arc<dyn Observer>>,
}

/// Is told of every message that left an actor, as soon as it is safe.
pub trait Observer: Send + Sync + fmt::Debug {
    /// A message left; called on the message's own task, so it must be quick.
    fn hop(&self, hop: &Hop<'_>);
}

/// One message's stay at one actor.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'a> {
    /// The actor.
    pub actor: &'a str,
    /// The message's id.
    pub message: &'a str,
    /// From taking the message to its outputs being safe.
    pub whole: Duration,
    /// The handler's part of it.
    pub handler: Duration,
}

/// While the queue cannot be consumed.
const REOPEN: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));

impl Plane {
    /// The message plane on `queue`; every queue name is `prefix` and an actor's or an end's name. Job events go out
    /// in a task of `drain`.
    pub fn new(
        queue: Arc<dyn Queue>,
        prefix: &str,
        ends: &crate::Ends,
        metrics: Metrics,
        observer: Option<Arc<dyn Observer>>,
        drain: &Drain,
    ) -> Self {
        let end = |name: &str, discard| End {
            queue: format!("{prefix}{name}").into(),
            discard,
        };
        let happy = end(ends.happy_name(), ends.happy.discard);
        let error = end(ends.error_name(), ends.error.discard);
        let dispatch = Arc::new(Dispatch::new(
            queue.clone(),
            prefix.into(),
            happy,
            error,
            metrics.clone(),
        ));
        let courier = Courier::new(queue.clone(), metrics.clone(), drain);
        let ends = [ends.happy_name().into(), ends.error_name().into()];
        Self {
            queue,
            prefix: prefix.into(),
            dispatch,
            ends,
            courier,
            metrics,
            tracing: Tracing::default(),
            observer,
        }
    }

    /// Puts what goes to `actor` on a queue of another name than the prefix and the actor's.
    ///
    /// # Panics
    /// When a station has been made already.
    #[must_use]
    pub fn with_queue(mut self, actor: &str, queue: &str) -> Self {
        let dispatch = Arc::get_mut(&mut self.dispatch).expect("queues are named before there are stations");
        dispatch.named.insert(actor.to_owned(), queue.into());
        self
    }

    /// The same plane, whose hops are told of by `tracing`.
    pub fn traced(self, tracing: Tracing) -> Self {
        Self { tracing, ..self }
    }

    /// The station of one actor, whose handlers are in `pool` and whose readiness is told to `health`.
    pub fn station(&self, name: &str, config: &ActorConfig, pool: Pool, health: Component) -> Station {
        let kind = if self.ends.iter().any(|end| &**end == name) {
            Kind::End
        } else {
            Kind::Ordinary
        };
        let actor = Actor {
            name: name.into(),
            input: config.given(),
            policy: Policy {
                retry: config.retry,
                max_deliveries: config.max_deliveries,
                kind,
            },
            dispatch: self.dispatch.clone(),
            courier: self.courier.clone(),
            metrics: self.metrics.actor(name),
            tracing: self.tracing.clone(),
            observer: self.observer.clone(),
            pool: pool.clone(),
        };
        let source = match &config.queue {
            Some(queue) => queue.as_str().into(),
            None => format!("{}{name}", self.prefix).into(),
        };
        Station {
            actor: Arc::new(actor),
            source,
            queue: self.queue.clone(),
            pool,
            concurrency: config.concurrency.max(config.replicas).get(),
            health,
        }
    }
}

impl Station {
    /// Takes until `drain` begins; each message is worked on in a task of the drain.
    ///
    /// A handler that is not alive takes no messages: what was claimed for it goes back, and `/readyz` is red.
    pub async fn run(self, drain: Drain) {
        let mut reopen = REOPEN.steps();
        while !drain.is_begun() {
            self.health.not_ready("waiting for the handler");
            let consumer = tokio::select! {
                consumer = self.queue.consume(&self.source, 0) => consumer,
                () = drain.begun() => return,
            };
            let error = match consumer {
                Ok(consumer) => {
                    reopen.succeeded();
                    match self.take_from(consumer, &drain).await {
                        Ok(()) => return,
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            self.health.not_ready(format!("queue `{}`: {error}", self.source));
            let wait = reopen.failed(None);
            warn!(actor = %self.actor.name, %error, wait_ms = wait.as_millis(), "cannot take from the queue, trying again");
            tokio::select! {
                () = drain.begun() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn take_from(&self, mut consumer: Box<dyn Consumer>, drain: &Drain) -> Result<(), QueueError> {
        let mut readiness = self.pool.readiness();
        readiness.mark_changed();
        let mut ready = false;
        let mut held: Option<Slot> = None;
        let mut free = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = drain.begun() => return Ok(()),
                _ = readiness.changed() => {
                    let live = readiness.borrow_and_update().is_ready();
                    consumer.set_credit(self.credit(held.as_ref()));
                    if live != ready {
                        ready = live;
                        self.tell(ready);
                    }
                }
                () = revoked(held.as_ref()) => held = None,
                slot = self.pool.slot(), if held.is_none() => {
                    if slot.is_probe() {
                        consumer.set_credit(self.credit(Some(&slot)));
                        readiness.mark_changed();
                    }
                    held = Some(slot);
                    free = Instant::now();
                }
                delivery = consumer.take(), if held.is_some() => {
                    let delivery = delivery?;
                    if let Some(slot) = held.take() {
                        self.actor.metrics.receive.observe(free.elapsed().as_secs_f64());
                        drain.spawn("step", step::run(self.actor.clone(), slot, delivery, drain.clone()));
                    }
                }
                // A call has work for the slot, and the queue has none.
                () = self.pool.wanted(), if held.is_some() => held = None,
            }
        }
    }

    /// How many deliveries may be out: one for each slot that takes work, a probe's too, and those that handlers
    /// which take no more are still busy with; never more than the actor's concurrency.
    fn credit(&self, held: Option<&Slot>) -> usize {
        let probe = usize::from(held.is_some_and(Slot::is_probe));
        (self.pool.room() + probe).min(self.concurrency)
    }

    fn tell(&self, ready: bool) {
        if ready {
            debug!(actor = %self.actor.name, queue = %self.source, "taking messages");
            self.health.ready();
        } else {
            info!(actor = %self.actor.name, "no handler is alive, taking nothing");
            self.health.not_ready("no handler is alive");
        }
    }
}

/// Ends when a slot is of no use any more; never without one.
async fn revoked(slot: Option<&Slot>) {
    match slot {
        Some(slot) => slot.revoked().await,
        None => std::future::pending().await,
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actor")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
