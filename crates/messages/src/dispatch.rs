//! Carries routing's decision out: every output is put, then the input is settled.
//!
//! In one step where the queue can. An output that can never be put turns the whole message into a failure; the
//! handler is not called again for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chassis::guard::Backoff;
use queues::{Again, Delivery, ForwardError, Put, Queue, QueueError, Settle};
use tracing::{debug, error, warn};
use wire::code;

use crate::{
    Metrics,
    routing::{Output, Target},
};

/// Knows every queue's name, and puts.
#[derive(Debug)]
pub(crate) struct Dispatch {
    queue: Arc<dyn Queue>,
    prefix: Arc<str>,
    /// The queues of actors that have another name than the prefix and their own.
    pub(crate) named: HashMap<String, Arc<str>>,
    happy: End,
    error: End,
    known: Mutex<HashMap<Arc<str>, Instant>>,
    metrics: Metrics,
}

/// One end of all routes, resolved.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) queue: Arc<str>,
    pub(crate) discard: bool,
}

/// What leaves with a settle.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) outputs: Vec<Output>,
    /// Job events: a queue of theirs that is missing costs them alone.
    pub(crate) events: Vec<Put>,
}

/// How handing over ended.
#[derive(Debug)]
pub(crate) enum Handover {
    /// Everything is safe and the input is done.
    Safe,
    /// An output can never be put; the delivery is still ours.
    Refused(Box<Delivery>, Refusal),
    /// The delivery is no longer ours, or the queue is closed.
    Lost,
}

/// Why an output can never be put.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) error: QueueError,
}

/// How long a queue that was seen is taken to exist.
const KNOWN_FOR: Duration = Duration::from_secs(30);
/// How long a message waits that the error end did not take.
const END_CLOSED: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));

impl Dispatch {
    pub(crate) fn new(queue: Arc<dyn Queue>, prefix: Arc<str>, happy: End, error: End, metrics: Metrics) -> Self {
        Self {
            queue,
            prefix,
            named: HashMap::new(),
            happy,
            error,
            known: Mutex::default(),
            metrics,
        }
    }

    /// A target's queue; `None` where what arrives is discarded.
    pub(crate) fn queue_of(&self, target: &Target) -> Option<Arc<str>> {
        let end = |end: &End| (!end.discard).then(|| end.queue.clone());
        match target {
            Target::Actor(actor) => match self.named.get(actor) {
                Some(queue) => Some(queue.clone()),
                None => Some(format!("{}{actor}", self.prefix).into()),
            },
            Target::HappyEnd => end(&self.happy),
            Target::ErrorEnd => end(&self.error),
        }
    }

    /// Whether a target could be put to: asked of the queue, remembered for a while when the answer is yes.
    ///
    /// A queue that cannot answer now is given the benefit of the doubt: the put will tell.
    pub(crate) async fn exists(&self, target: &Target) -> bool {
        let Some(queue) = self.queue_of(target) else {
            return true;
        };
        let fresh = |seen: &Instant| seen.elapsed() < KNOWN_FOR;
        if self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&queue)
            .is_some_and(fresh)
        {
            return true;
        }
        match self.queue.exists(&queue).await {
            Ok(false) => false,
            Err(_) => true,
            Ok(true) => {
                self.known
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(queue, Instant::now());
                true
            }
        }
    }

    /// Puts everything and settles the input as done.
    pub(crate) async fn hand_over(&self, delivery: Delivery, parcel: Parcel) -> Handover {
        let Parcel { outputs, mut events } = parcel;
        let puts: Vec<Put> = outputs
            .into_iter()
            .filter_map(|output| Some(Put::new(self.queue_of(&output.target)?, output.body)))
            .collect();
        let mut delivery = delivery;
        loop {
            let all = puts.iter().chain(&events).cloned().collect();
            match delivery.forward(all).await {
                Ok(()) => return Handover::Safe,
                Err(ForwardError::Unsettled(error)) => return unsettled(&error),
                Err(ForwardError::Refused { delivery: ours, error }) => {
                    let code = match &error {
                        QueueError::TooLarge { .. } => code::TOO_LARGE,
                        _ => code::NO_QUEUE,
                    };
                    if events.is_empty() || !concerns_events(&error, &puts, &events) {
                        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
                        return Handover::Refused(ours, Refusal { code, error });
                    }
                    for _ in events.drain(..) {
                        self.metrics.event_lost(&error);
                    }
                    delivery = *ours;
                }
            }
        }
    }

    /// The last way out, for a message that even the error end did not take: back, later each time.
    pub(crate) async fn keep(&self, delivery: Delivery, attempt: u32, why: &QueueError) -> bool {
        error!(queue = %delivery.queue(), error = %why, "the error end did not take a message, it is put back");
        let delay = END_CLOSED.delay(attempt, fastrand::f64());
        put_back(delivery, Again::attempt(attempt.saturating_add(1), delay)).await
    }

    /// Names an end as such where a route names it as an actor.
    pub(crate) fn name_ends(&self, outputs: &mut [Output]) {
        for output in outputs {
            if let Target::Actor(actor) = &output.target {
                let is = |end: &End| end.queue.strip_prefix(&*self.prefix) == Some(actor);
                if is(&self.happy) {
                    output.target = Target::HappyEnd;
                } else if is(&self.error) {
                    output.target = Target::ErrorEnd;
                }
            }
        }
    }
}

/// Puts a delivery back; says whether that was written.
pub(crate) async fn put_back(delivery: Delivery, again: Again) -> bool {
    match delivery.settle(Settle::Again(again)).await {
        Ok(()) => true,
        Err(error) => {
            unsettled(&error);
            false
        }
    }
}

fn unsettled(error: &QueueError) -> Handover {
    match error {
        QueueError::LeaseLost => warn!("a delivery ran out of its lease, its message was given out again"),
        QueueError::Closed => debug!("a delivery outlived its queue"),
        error => error!(%error, "a delivery could not be settled"),
    }
    Handover::Lost
}

/// Whether a refusal is about a queue that only events go to.
fn concerns_events(error: &QueueError, puts: &[Put], events: &[Put]) -> bool {
    let (QueueError::NoQueue { queue } | QueueError::TooLarge { queue, .. }) = error else {
        return false;
    };
    let among = |all: &[Put]| all.iter().any(|put| put.queue.as_ref() == queue);
    among(events) && !among(puts)
}
