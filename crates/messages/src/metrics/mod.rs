//! The message plane's metrics.
//!
//! One handle for the process, and one for each actor whose samples it has looked up at its start: counting a message
//! looks nothing up.

mod actor;
mod labels;

use std::sync::Arc;

use chassis::telemetry::Metrics as Registry;
use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Unit,
};
use queues::QueueError;

pub(crate) use actor::ActorMetrics;
use labels::{ActorLabel, FailedLabels, ReasonLabel, SentLabels, SettledLabels};

/// Counters of every actor in this process; a cheap handle.
#[derive(Debug, Clone)]
pub struct Metrics {
    families: Arc<Families>,
}

#[derive(Debug)]
struct Families {
    received: Family<ActorLabel, Counter>,
    attempts: Family<ActorLabel, Counter>,
    settled: Family<SettledLabels, Counter>,
    sent: Family<SentLabels, Counter>,
    failed: Family<FailedLabels, Counter>,
    in_flight: Family<ActorLabel, Gauge>,
    size: Histograms,
    receive: Histograms,
    handler: Histograms,
    send: Histograms,
    hop: Histograms,
    events_lost: Family<ReasonLabel, Counter>,
}

type Histograms = Family<ActorLabel, Histogram, fn() -> Histogram>;

impl Metrics {
    /// Registers the plane's metrics.
    pub fn new(registry: &Registry) -> Self {
        let families = Families {
            received: Family::default(),
            attempts: Family::default(),
            settled: Family::default(),
            sent: Family::default(),
            failed: Family::default(),
            in_flight: Family::default(),
            size: Family::new_with_constructor(sizes),
            receive: Family::new_with_constructor(durations),
            handler: Family::new_with_constructor(durations),
            send: Family::new_with_constructor(durations),
            hop: Family::new_with_constructor(durations),
            events_lost: Family::default(),
        };
        families.register(registry);
        Self {
            families: Arc::new(families),
        }
    }

    pub(crate) fn actor(&self, actor: &str) -> ActorMetrics {
        ActorMetrics::new(&self.families, actor)
    }

    pub(crate) fn event_lost(&self, error: &QueueError) {
        let reason = match error {
            QueueError::NoQueue { .. } => "no_queue",
            QueueError::TooLarge { .. } => "too_large",
            QueueError::Closed => "full",
            _ => "unavailable",
        };
        self.families.events_lost.get_or_create(&ReasonLabel { reason }).inc();
    }
}

impl Families {
    fn register(&self, registry: &Registry) {
        registry.register(
            "actor_messages_received",
            "Deliveries taken from the actor's queue",
            self.received.clone(),
        );
        registry.register(
            "actor_attempts",
            "Calls of the handler; a message that is tried again is called for again",
            self.attempts.clone(),
        );
        registry.register(
            "actor_messages_settled",
            "Deliveries ended, by outcome: forwarded, failed, put_back, lost",
            self.settled.clone(),
        );
        registry.register(
            "actor_messages_sent",
            "Messages put into queues, by kind: next (an actor), happy_end, error_end, event (of a job)",
            self.sent.clone(),
        );
        registry.register(
            "actor_messages_failed",
            "Messages sent to the error end, by the error's code",
            self.failed.clone(),
        );
        registry.register(
            "actor_messages_in_flight",
            "Messages taken and not yet settled",
            self.in_flight.clone(),
        );
        registry.register_with_unit(
            "actor_envelope_size",
            "Size of the envelopes taken",
            Unit::Bytes,
            self.size.clone(),
        );
        for (name, help, family) in [
            (
                "actor_receive_duration",
                "From a handler being free to its next message, the wait for one to be sent included",
                &self.receive,
            ),
            (
                "actor_handler_duration",
                "From the call of the handler to its final reply",
                &self.handler,
            ),
            (
                "actor_send_duration",
                "From handing a message's outputs to the queue to all of them being safe and the message settled",
                &self.send,
            ),
            (
                "actor_hop_duration",
                "From taking a message to its outputs being safe",
                &self.hop,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, family.clone());
        }
        registry.register(
            "actor_events_lost",
            "Job events that could not be put, by reason",
            self.events_lost.clone(),
        );
    }
}

/// From 100 us to about 7 minutes.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 4.0, 12))
}

/// From 256 bytes to 256 MiB.
fn sizes() -> Histogram {
    Histogram::new(exponential_buckets(256.0, 4.0, 11))
}
