//! The message plane's metrics.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use chassis::telemetry::Metrics as Registry;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
};
use queues::QueueError;

/// Counters of every actor in this process; a cheap handle.
#[derive(Debug, Clone)]
pub struct Metrics {
    families: Arc<Families>,
}

#[derive(Debug)]
struct Families {
    received: Family<ActorLabel, Counter>,
    settled: Family<SettledLabels, Counter>,
    failed: Family<FailedLabels, Counter>,
    in_flight: Family<ActorLabel, Gauge>,
    handler: Family<ActorLabel, Histogram, fn() -> Histogram>,
    hop: Family<ActorLabel, Histogram, fn() -> Histogram>,
    events_lost: Family<ReasonLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActorLabel {
    actor: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SettledLabels {
    actor: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailedLabels {
    actor: String,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// One actor's own counters, looked up once.
#[derive(Debug, Clone)]
pub(crate) struct ActorMetrics {
    pub(crate) received: Counter,
    pub(crate) forwarded: Counter,
    pub(crate) failed: Counter,
    pub(crate) put_back: Counter,
    pub(crate) lost: Counter,
    pub(crate) in_flight: Gauge,
    pub(crate) handler: Histogram,
    pub(crate) hop: Histogram,
    actor: String,
    families: Arc<Families>,
    codes: Arc<Mutex<HashSet<String>>>,
}

/// Handlers choose their codes; more than this share one label.
const MAX_CODES: usize = 50;

/// From 100 us to about 15 minutes.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 4.0, 12))
}

impl Metrics {
    /// Registers the plane's metrics.
    pub fn new(registry: &Registry) -> Self {
        let families = Families {
            received: Family::default(),
            settled: Family::default(),
            failed: Family::default(),
            in_flight: Family::default(),
            handler: Family::new_with_constructor(durations),
            hop: Family::new_with_constructor(durations),
            events_lost: Family::default(),
        };
        registry.register(
            "actor_messages_received",
            "Deliveries taken from the actor's queue",
            families.received.clone(),
        );
        registry.register(
            "actor_messages_settled",
            "Deliveries ended, by outcome: forwarded, failed, put_back, lost",
            families.settled.clone(),
        );
        registry.register(
            "actor_messages_failed",
            "Messages sent to the error end, by the error's code",
            families.failed.clone(),
        );
        registry.register(
            "actor_messages_in_flight",
            "Messages taken and not yet settled",
            families.in_flight.clone(),
        );
        registry.register(
            "actor_handler_duration_seconds",
            "From the call of the handler to its final reply",
            families.handler.clone(),
        );
        registry.register(
            "actor_hop_duration_seconds",
            "From taking a message to its outputs being safe",
            families.hop.clone(),
        );
        registry.register(
            "actor_events_lost",
            "Job events that could not be put, by reason",
            families.events_lost.clone(),
        );
        Self {
            families: Arc::new(families),
        }
    }

    pub(crate) fn actor(&self, actor: &str) -> ActorMetrics {
        let families = &self.families;
        let label = ActorLabel {
            actor: actor.to_owned(),
        };
        let settled = |outcome| {
            families
                .settled
                .get_or_create(&SettledLabels {
                    actor: actor.to_owned(),
                    outcome,
                })
                .clone()
        };
        ActorMetrics {
            received: families.received.get_or_create(&label).clone(),
            forwarded: settled("forwarded"),
            failed: settled("failed"),
            put_back: settled("put_back"),
            lost: settled("lost"),
            in_flight: families.in_flight.get_or_create(&label).clone(),
            handler: families.handler.get_or_create(&label).clone(),
            hop: families.hop.get_or_create(&label).clone(),
            actor: actor.to_owned(),
            families: families.clone(),
            codes: Arc::default(),
        }
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

impl ActorMetrics {
    /// Counts a message that went to the error end.
    pub(crate) fn failed_with(&self, code: &str) {
        let labels = FailedLabels {
            actor: self.actor.clone(),
            code: self.label(code).to_owned(),
        };
        self.families.failed.get_or_create(&labels).inc();
        self.failed.inc();
    }

    fn label<'a>(&self, code: &'a str) -> &'a str {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            codes.contains(code) || (code.len() <= 64 && codes.len() < MAX_CODES && codes.insert(code.to_owned()));
        if known { code } else { "_other" }
    }
}

#[cfg(test)]
mod tests {
    use chassis::telemetry::Exposition;

    use super::*;

    /// The page is written by this test when `OUTRIGGER_WRITE_REFERENCE` is set, and compared otherwise.
    #[test]
    fn the_reference_page_lists_every_metric() {
        let registry = Registry::with_process();
        let metrics = Metrics::new(&registry);
        metrics.actor("clean").failed_with("timeout");
        metrics.event_lost(&QueueError::Closed);
        let text = registry.encode(Exposition::Prometheus);
        let mut page = String::from(
            "# Metrics\n\nOn `/metrics` of the admin address. Written by `cargo xtask generate`.\n\n| metric | type | what it counts |\n|---|---|---|\n",
        );
        let mut help = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                help = rest.split_once(' ').map_or("", |(_, help)| help);
            } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                page.push_str(&["| `", name, "` | ", kind, " | ", help, " |\n"].concat());
            }
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/metrics.md");
        #[expect(clippy::disallowed_methods, reason = "a switch of the developer tool, not a setting")]
        if std::env::var("OUTRIGGER_WRITE_REFERENCE").is_ok() {
            std::fs::write(path, &page).unwrap();
        }
        assert_eq!(
            page,
            std::fs::read_to_string(path).unwrap_or_default(),
            "run `cargo xtask generate`"
        );
    }
}
