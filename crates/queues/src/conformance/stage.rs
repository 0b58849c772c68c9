//! Where a case plays: it opens the transport, waits with patience, and turns surprises into findings.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use super::{Harness, Staged};
use crate::{Consumer, Delivery, ForwardError, Put, Queue, QueueError, QueueSpec, QueueStats};

/// Why a case ended early.
#[derive(Debug)]
pub(super) enum Halt {
    Broken { expected: String, seen: String },
    NotPromised,
    NotTried(&'static str),
}

/// How a case ends.
pub(super) type Ended = Result<(), Halt>;

/// One case's place and what it opened there.
pub(super) struct Stage<'h> {
    harness: &'h dyn Harness,
    place: String,
    opened: Mutex<Vec<Arc<dyn Queue>>>,
    at: Mutex<&'static str>,
}

impl Halt {
    pub(super) fn broken(expected: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::Broken {
            expected: expected.into(),
            seen: seen.into(),
        }
    }
}

impl<'h> Stage<'h> {
    pub(super) fn new(harness: &'h dyn Harness) -> Self {
        let place = format!("case-{}", uuid::Uuid::now_v7().simple());
        Self {
            harness,
            place,
            opened: Mutex::default(),
            at: Mutex::new("open the transport"),
        }
    }

    /// The step that began last.
    pub(super) fn at(&self) -> &'static str {
        *lock(&self.at)
    }

    pub(super) fn lease(&self) -> Duration {
        self.harness.lease().unwrap_or_default()
    }

    pub(super) fn quiet(&self) -> Duration {
        self.harness.quiet()
    }

    pub(super) fn lateness(&self) -> Duration {
        self.harness.lateness()
    }

    /// A handle on the case's place.
    pub(super) async fn open(&self) -> Result<Arc<dyn Queue>, Halt> {
        let queue = self.ok("open the transport", self.harness.open(&self.place)).await?;
        lock(&self.opened).push(Arc::clone(&queue));
        Ok(queue)
    }

    pub(super) async fn close(&self) {
        let opened = std::mem::take(&mut *lock(&self.opened));
        for queue in opened {
            queue.close().await;
        }
    }

    /// Closes one handle and opens the place again.
    pub(super) async fn reopen(&self, queue: Arc<dyn Queue>) -> Result<Arc<dyn Queue>, Halt> {
        self.begin("close the transport");
        self.forget(&queue);
        queue.close().await;
        drop(queue);
        self.open().await
    }

    /// Crashes one handle and opens the place again.
    pub(super) async fn crash(&self, queue: Arc<dyn Queue>) -> Result<Arc<dyn Queue>, Halt> {
        self.begin("crash the transport");
        self.forget(&queue);
        staged(self.harness.crash(&self.place, queue).await)?;
        self.open().await
    }

    pub(super) async fn silence(&self, queue: &Arc<dyn Queue>) -> Ended {
        self.begin("silence a holder");
        staged(self.harness.silence(&self.place, queue).await)
    }

    pub(super) async fn fail_settles(&self, queue: &Arc<dyn Queue>, times: u32) -> Ended {
        self.begin("make settles fail");
        staged(self.harness.fail_settles(&self.place, queue, times).await)
    }

    /// A step that has to succeed.
    pub(super) async fn ok<T>(
        &self,
        step: &'static str,
        work: impl Future<Output = Result<T, QueueError>>,
    ) -> Result<T, Halt> {
        self.begin(step);
        work.await
            .map_err(|error| Halt::broken(format!("to {step}"), chain(&error)))
    }

    pub(super) async fn declare(&self, queue: &Arc<dyn Queue>, names: &[&str]) -> Ended {
        let specs: Vec<_> = names.iter().map(|name| QueueSpec::new(*name)).collect();
        self.ok("declare queues", queue.declare(&specs)).await
    }

    pub(super) async fn put(&self, queue: &Arc<dyn Queue>, name: &str, bodies: &[&'static str]) -> Ended {
        self.ok(
            "put messages",
            queue.put(bodies.iter().map(|body| Put::new(name, *body)).collect()),
        )
        .await
    }

    pub(super) async fn consume(
        &self,
        queue: &Arc<dyn Queue>,
        name: &str,
        credit: usize,
    ) -> Result<Box<dyn Consumer>, Halt> {
        self.ok("begin to consume", queue.consume(name, credit)).await
    }

    /// The next message, which has to come.
    pub(super) async fn take(&self, consumer: &mut Box<dyn Consumer>) -> Result<Delivery, Halt> {
        self.take_within(consumer, self.harness.patience()).await
    }

    /// The next message, also if it has to be missed by a lease first.
    pub(super) async fn take_after_lease(&self, consumer: &mut Box<dyn Consumer>) -> Result<Delivery, Halt> {
        self.take_within(consumer, self.harness.patience() + 2 * self.lease())
            .await
    }

    async fn take_within(&self, consumer: &mut Box<dyn Consumer>, patience: Duration) -> Result<Delivery, Halt> {
        match timeout(patience, self.ok("take a message", consumer.take())).await {
            Ok(taken) => taken,
            Err(_) => Err(Halt::broken("a message", format!("none in {patience:?}"))),
        }
    }

    /// So many messages, all of which stay unsettled.
    pub(super) async fn take_many(
        &self,
        consumer: &mut Box<dyn Consumer>,
        count: usize,
    ) -> Result<Vec<Delivery>, Halt> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            taken.push(self.take(consumer).await?);
        }
        Ok(taken)
    }

    /// Listens for a while: no message may come.
    pub(super) async fn nothing(&self, consumer: &mut Box<dyn Consumer>, expected: &'static str) -> Ended {
        self.nothing_for(consumer, self.quiet(), expected).await
    }

    pub(super) async fn nothing_for(
        &self,
        consumer: &mut Box<dyn Consumer>,
        quiet: Duration,
        expected: &'static str,
    ) -> Ended {
        match timeout(quiet, self.ok("wait for a message that must not come", consumer.take())).await {
            Err(_) => Ok(()),
            Ok(Ok(delivery)) => Err(Halt::broken(expected, describe(&delivery))),
            Ok(Err(halt)) => Err(halt),
        }
    }

    /// Everything that comes, settled as done, until nothing has come for the lease and a while.
    pub(super) async fn empty(&self, consumer: &mut Box<dyn Consumer>) -> Result<Vec<Bytes>, Halt> {
        let mut bodies = Vec::new();
        let quiet = self.quiet() + 2 * self.lease();
        while bodies.len() < MORE_THAN_ANY_CASE_PUTS {
            let Ok(taken) = timeout(quiet, self.ok("take what is left", consumer.take())).await else {
                return Ok(bodies);
            };
            let delivery = taken?;
            bodies.push(delivery.body().clone());
            self.done(delivery).await?;
        }
        Err(Halt::broken(
            "what is left to end",
            format!("{} messages and still more", bodies.len()),
        ))
    }

    pub(super) async fn done(&self, delivery: Delivery) -> Ended {
        self.ok("settle a delivery as done", delivery.settle(crate::Settle::Done))
            .await
    }

    pub(super) async fn again(&self, delivery: Delivery, how: crate::Again) -> Ended {
        self.ok("put a delivery back", delivery.settle(crate::Settle::Again(how)))
            .await
    }

    pub(super) async fn forward(&self, delivery: Delivery, outputs: Vec<Put>) -> Ended {
        self.begin("forward outputs");
        delivery.forward(outputs).await.map_err(|error| {
            let seen = match &error {
                ForwardError::Refused { error, .. } | ForwardError::Unsettled(error) => chain(error),
            };
            Halt::broken("to forward outputs", seen)
        })
    }

    /// The figures of one queue, now.
    pub(super) async fn stats(&self, queue: &Arc<dyn Queue>, name: &str) -> Result<QueueStats, Halt> {
        let all = self.ok("read the figures", queue.stats()).await?;
        let named = all.into_iter().find(|stats| &*stats.name == name);
        named.ok_or_else(|| Halt::broken(format!("figures of queue `{name}`"), "none"))
    }

    /// Figures may lag; they have to be right in the end.
    pub(super) async fn figures(
        &self,
        queue: &Arc<dyn Queue>,
        name: &str,
        expected: &str,
        right: impl Fn(&QueueStats) -> bool,
    ) -> Ended {
        let until = Instant::now() + self.harness.patience();
        loop {
            let stats = self.stats(queue, name).await?;
            if right(&stats) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Halt::broken(format!("figures with {expected}"), format!("{stats:?}")));
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) fn begin(&self, step: &'static str) {
        *lock(&self.at) = step;
    }

    fn forget(&self, queue: &Arc<dyn Queue>) {
        lock(&self.opened).retain(|opened| !Arc::ptr_eq(opened, queue));
    }
}

const MORE_THAN_ANY_CASE_PUTS: usize = 20_000;

/// Two values that have to be the same.
pub(super) fn same<T: PartialEq + Debug>(what: &str, expected: &T, seen: &T) -> Ended {
    if expected == seen {
        return Ok(());
    }
    Err(Halt::broken(format!("{what}: {}", short(expected)), short(seen)))
}

/// Something that has to be so.
pub(super) fn holds(expected: &str, so: bool, seen: impl FnOnce() -> String) -> Ended {
    if so {
        Ok(())
    } else {
        Err(Halt::broken(expected, seen()))
    }
}

/// A result that has to be one certain error.
pub(super) fn refused<T: Debug>(
    expected: &str,
    result: Result<T, QueueError>,
    right: impl Fn(&QueueError) -> bool,
) -> Ended {
    match result {
        Err(error) if right(&error) => Ok(()),
        Err(error) => Err(Halt::broken(expected, chain(&error))),
        Ok(done) => Err(Halt::broken(expected, format!("success: {}", short(&done)))),
    }
}

/// Whether the error says that this queue does not exist.
pub(super) fn names_queue(error: &QueueError, name: &str) -> bool {
    matches!(error, QueueError::NoQueue { queue } if queue == name) && error.to_string().contains(name)
}

/// The body as text, for the kit's own short messages.
pub(super) fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(delivery.body()).into_owned()
}

pub(super) fn describe(delivery: &Delivery) -> String {
    format!("the message `{}` ({:?})", cut(&text(delivery)), delivery.tally())
}

fn staged(staged: Staged) -> Ended {
    match staged {
        Staged::Done => Ok(()),
        Staged::Impossible(why) => Err(Halt::NotTried(why)),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut words = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}

fn short(value: &impl Debug) -> String {
    cut(&format!("{value:?}"))
}

fn cut(words: &str) -> String {
    let end = words.char_indices().nth(300).map_or(words.len(), |(end, _)| end);
    if end == words.len() {
        words.to_owned()
    } else {
        format!("{}...", &words[..end])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
