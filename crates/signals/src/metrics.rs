//! What the telemetry plane counts of itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
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
    registry::Unit,
};

use crate::name;

/// The metrics of the plane; a cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    received: Family<OfSource, Counter>,
    routed: Family<OfBackend, Counter>,
    dropped: Family<Reason, Counter>,
    buffered: Family<OfSource, Gauge>,
    latency: Family<OfBackend, Histogram, fn() -> Histogram>,
    connections: Gauge,
    sources: Arc<Mutex<HashMap<Arc<str>, Arc<Source>>>>,
    others: Arc<OnceLock<Arc<Source>>>,
}

/// Where the lines of a source are counted.
#[derive(Debug)]
pub(crate) struct Source {
    received: Counter,
    buffered: Gauge,
}

/// What is counted of a backend.
#[derive(Debug, Clone)]
pub(crate) struct BackendMetrics {
    routed: Counter,
    latency: Histogram,
    failed: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSource {
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfBackend {
    backend: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Sources that have a label of their own.
const SOURCES: usize = 1000;
/// The label of all the others.
const OTHERS: &str = "_other";

impl Metrics {
    /// Registers everything.
    pub(crate) fn new(registry: &Registry) -> Self {
        let latency: Family<OfBackend, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0001, 4.0, 10)));
        let (received, buffered): (Family<OfSource, Counter>, Family<OfSource, Gauge>) = Default::default();
        let metrics = Self {
            received,
            routed: Family::default(),
            dropped: Family::default(),
            buffered,
            latency,
            connections: Gauge::default(),
            sources: Arc::default(),
            others: Arc::default(),
        };
        registry.register(
            "messages_received",
            "Lines that came and were whole",
            metrics.received.clone(),
        );
        registry.register(
            "messages_routed",
            "Lines laid down for a backend",
            metrics.routed.clone(),
        );
        registry.register(
            "messages_dropped",
            "Lines that were given up, by reason",
            metrics.dropped.clone(),
        );
        registry.register(
            "buffer_size",
            "Lines of a source that wait for backends",
            metrics.buffered.clone(),
        );
        registry.register_with_unit(
            "backend_latency",
            "Duration of one delivery to a backend",
            Unit::Seconds,
            metrics.latency.clone(),
        );
        registry.register(
            "active_connections",
            "Connections of senders",
            metrics.connections.clone(),
        );
        for reason in REASONS {
            drop(metrics.dropped.get_or_create(&Reason { reason }));
        }
        metrics
    }

    /// Where the lines of a source are counted; beyond so many sources they share a place.
    pub(crate) fn source(&self, name: &Arc<str>) -> Arc<Source> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources.get(name) {
            return Arc::clone(source);
        }
        if sources.len() >= SOURCES {
            return Arc::clone(self.others.get_or_init(|| Arc::new(self.labelled(OTHERS))));
        }
        let source = Arc::new(self.labelled(&name::safe(name)));
        sources.insert(Arc::clone(name), Arc::clone(&source));
        source
    }

    fn labelled(&self, label: &str) -> Source {
        let label = OfSource {
            source: label.to_owned(),
        };
        Source {
            received: self.received.get_or_create(&label).clone(),
            buffered: self.buffered.get_or_create(&label).clone(),
        }
    }

    pub(crate) fn backend(&self, name: &str) -> BackendMetrics {
        let label = OfBackend {
            backend: name.to_owned(),
        };
        let reason = Reason {
            reason: "backend_failed",
        };
        BackendMetrics {
            routed: self.routed.get_or_create(&label).clone(),
            latency: self.latency.get_or_create(&label).clone(),
            failed: self.dropped.get_or_create(&reason).clone(),
        }
    }

    /// Lines were given up.
    pub(crate) fn dropped(&self, reason: &'static str, lines: usize) {
        if lines > 0 {
            self.dropped.get_or_create(&Reason { reason }).inc_by(lines as u64);
        }
    }

    /// Counts a connection for as long as it stands.
    pub(crate) fn connection(&self) -> Connection {
        self.connections.inc();
        Connection(self.connections.clone())
    }
}

/// A connection that is counted.
#[derive(Debug)]
pub(crate) struct Connection(Gauge);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Source {
    /// One that nobody sees.
    #[cfg(test)]
    pub(crate) fn unregistered() -> Self {
        Self {
            received: Counter::default(),
            buffered: Gauge::default(),
        }
    }

    pub(crate) fn received(&self, lines: usize) {
        self.received.inc_by(lines as u64);
    }

    pub(crate) fn buffered(&self, lines: usize) {
        self.buffered.inc_by(signed(lines));
    }

    pub(crate) fn left(&self, lines: usize) {
        self.buffered.dec_by(signed(lines));
    }
}

impl BackendMetrics {
    pub(crate) fn routed(&self, lines: usize) {
        self.routed.inc_by(lines as u64);
    }

    pub(crate) fn latency(&self, duration: Duration) {
        self.latency.observe(duration.as_secs_f64());
    }

    pub(crate) fn failed(&self, lines: usize) {
        self.failed.inc_by(lines as u64);
    }
}

fn signed(lines: usize) -> i64 {
    i64::try_from(lines).unwrap_or(i64::MAX)
}

/// Every reason, so that a scrape finds them before anything was dropped.
const REASONS: [&str; 12] = [
    "too_long",
    "not_json",
    "missing_src",
    "missing_ts",
    "missing_type",
    "filtered",
    "no_route",
    "sampled",
    "buffer_full",
    "backend_failed",
    "auth_failed",
    "too_many_connections",
];
