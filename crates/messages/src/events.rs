//! Job events: what is told about a message to the queue that its `reply_to` header names.
//!
//! `done` and `failed` are outputs of the step's own settle and are made here, put there. The others are best effort:
//! a full channel or a missing queue costs the event, is counted, and holds up nobody.

use std::{sync::Arc, time::Duration};

use chassis::lifecycle::Drain;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use queues::{Put, Queue, QueueError};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;
use wire::{Envelope, Happening, Interim, JobEvent, Json};

use crate::Metrics;

/// The way of best-effort events to their queues.
#[derive(Debug, Clone)]
pub(crate) struct Courier {
    errands: mpsc::Sender<Errand>,
    metrics: Metrics,
}

#[derive(Debug)]
enum Errand {
    /// Put, then counted.
    Put(Put, Counter),
    /// Tells when everything before it was put, or lost.
    Mark(oneshot::Sender<()>),
}

/// More events than this wait only when the queue is slower than the handlers talk.
const WAITING: usize = 1024;
/// Put together where the queue can.
const BATCH: usize = 64;
/// How long a step's last events wait for its earlier ones.
const FLUSH: Duration = Duration::from_secs(1);

impl Courier {
    /// Starts the courier; it ends when its last handle is dropped.
    pub(crate) fn new(queue: Arc<dyn Queue>, metrics: Metrics, drain: &Drain) -> Self {
        let (errands, mut inbox) = mpsc::channel(WAITING);
        let counts = metrics.clone();
        drain.spawn("job events", async move {
            let mut batch = Vec::with_capacity(BATCH);
            while inbox.recv_many(&mut batch, BATCH).await > 0 {
                let (mut puts, mut marks) = (Vec::new(), Vec::new());
                for errand in batch.drain(..) {
                    match errand {
                        Errand::Put(put, sent) => puts.push((put, sent)),
                        Errand::Mark(mark) => marks.push(mark),
                    }
                }
                deliver(&*queue, puts, &counts).await;
                for mark in marks {
                    // Whoever waited may have given up.
                    let _ = mark.send(());
                }
            }
        });
        Self { errands, metrics }
    }

    fn send(&self, put: Put, sent: Counter) {
        if self.errands.try_send(Errand::Put(put, sent)).is_err() {
            self.metrics.event_lost(&QueueError::Closed);
        }
    }

    async fn flush(&self) {
        let (mark, reached) = oneshot::channel();
        let flushed = async {
            if self.errands.send(Errand::Mark(mark)).await.is_ok() {
                let _ = reached.await;
            }
        };
        if tokio::time::timeout(FLUSH, flushed).await.is_err() {
            debug!("job events are slow, not waiting for them");
        }
    }
}

async fn deliver(queue: &dyn Queue, errands: Vec<(Put, Counter)>, metrics: &Metrics) {
    if errands.is_empty() {
        return;
    }
    let (puts, sent): (Vec<Put>, Vec<Counter>) = errands.into_iter().unzip();
    if queue.put(puts.clone()).await.is_ok() {
        for sent in sent {
            sent.inc();
        }
        return;
    }
    // One missing queue must not cost the others theirs.
    for (put, sent) in puts.into_iter().zip(sent) {
        match queue.put(vec![put]).await {
            Ok(()) => {
                sent.inc();
            }
            Err(error) => metrics.event_lost(&error),
        }
    }
}

/// Tells of one message; does nothing for one that nobody follows.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    following: Option<Following>,
}

#[derive(Debug)]
struct Following {
    courier: Courier,
    reply_to: Arc<str>,
    job: String,
    id: String,
    parent_id: Option<String>,
    actor: Arc<str>,
    current: i64,
    seq: u64,
    sent: Counter,
}

impl Reporter {
    /// `sent` counts the events that reached their queue by themselves.
    pub(crate) fn new(envelope: &Envelope, actor: &Arc<str>, courier: &Courier, sent: &Counter) -> Self {
        let following = envelope
            .header("reply_to")
            .filter(|queue| !queue.is_empty())
            .map(|reply_to| Following {
                courier: courier.clone(),
                reply_to: reply_to.into(),
                job: envelope.header("job").unwrap_or_else(|| envelope.id().to_owned()),
                id: envelope.id().to_owned(),
                parent_id: envelope.parent_id(),
                actor: actor.clone(),
                current: envelope.current(),
                seq: 0,
                sent: sent.clone(),
            });
        Self { following }
    }

    /// Waits until what was told so far is in its queue, so that the last events come after it.
    pub(crate) async fn flush(&self) {
        if let Some(following) = self.following.as_ref().filter(|following| following.seq > 0) {
            following.courier.flush().await;
        }
    }

    /// The handler is about to be called.
    pub(crate) fn received(&mut self) {
        self.tell(|| (Happening::Received, None));
    }

    /// The handler said something before its final reply.
    pub(crate) fn interim(&mut self, interim: Interim) {
        match interim {
            Interim::Heartbeat => {}
            Interim::Partial(data) => self.tell(|| (Happening::Partial, Some(data))),
            Interim::Progress { percent, message } => {
                let data = serde_json::json!({"percent": percent, "message": message});
                self.tell(|| (Happening::Progress, Some(Json::from_value(&data))));
            }
        }
    }

    /// The event that goes out with the step's outputs, in the same settle.
    ///
    /// `child` is the id of an output that is not the message itself.
    pub(crate) fn last(
        &mut self,
        kind: Happening,
        child: Option<&str>,
        data: impl FnOnce() -> Option<Json>,
    ) -> Option<Put> {
        Some(self.following.as_mut()?.compose(kind, child, data()))
    }

    fn tell(&mut self, event: impl FnOnce() -> (Happening, Option<Json>)) {
        let Some(following) = &mut self.following else { return };
        let (kind, data) = event();
        let put = following.compose(kind, None, data);
        following.courier.send(put, following.sent.clone());
    }
}

impl Following {
    fn compose(&mut self, kind: Happening, child: Option<&str>, data: Option<Json>) -> Put {
        let seq = self.seq;
        self.seq += 1;
        let parent_id = if child.is_some() {
            Some(self.id.clone())
        } else {
            self.parent_id.clone()
        };
        let event = JobEvent {
            event: kind,
            job: self.job.clone(),
            id: child.unwrap_or(&self.id).to_owned(),
            parent_id,
            actor: self.actor.to_string(),
            current: self.current,
            seq,
            at: Timestamp::now(),
            data,
        };
        debug!(message = self.id, event = ?kind, "job event");
        Put::new(self.reply_to.clone(), event.to_bytes())
    }
}
