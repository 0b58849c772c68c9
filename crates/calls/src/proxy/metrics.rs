//! What the proxy counts of itself.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chassis::{guard::BreakerState, telemetry::Metrics as Registry};
use http::StatusCode;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::{Histogram, exponential_buckets},
    },
    registry::Unit,
};

use super::roster::Roster;

/// The metrics of the proxy; a cheap handle.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    requests: Family<Answers, Counter>,
    failures: Family<Failures, Counter>,
    duration: Family<OfRoute, Histogram, fn() -> Histogram>,
    pending: Family<OfUpstream, Gauge>,
    retries: Family<OfUpstream, Counter>,
}

/// What is counted of one route to one upstream.
#[derive(Debug)]
pub(super) struct PassageMetrics {
    label: OfRoute,
    metrics: Metrics,
    /// By the first digit of the status; the first one for those without.
    requests: [Counter; 6],
    duration: Histogram,
    pending: Gauge,
    retries: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRoute {
    route: String,
    upstream: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfUpstream {
    upstream: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answers {
    route: String,
    upstream: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failures {
    route: String,
    upstream: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAddress {
    upstream: String,
    url: String,
}

/// Statuses by their first digit; `none` for calls whose client left before.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

impl Metrics {
    /// Registers everything.
    pub(super) fn new(registry: &Registry) -> Self {
        let duration: Family<OfRoute, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_25, 4.0, 10)));
        let metrics = Self {
            requests: Family::default(),
            failures: Family::default(),
            duration,
            pending: Family::default(),
            retries: Family::default(),
        };
        registry.register(
            "proxy_requests",
            "Calls through the proxy, by the class of their status",
            metrics.requests.clone(),
        );
        registry.register(
            "proxy_failures",
            "Calls through the proxy that failed, by reason",
            metrics.failures.clone(),
        );
        registry.register_with_unit(
            "proxy_duration",
            "Duration of a call through the proxy, to the end of its answer",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register(
            "proxy_pending",
            "Calls under way to an upstream",
            metrics.pending.clone(),
        );
        registry.register("proxy_retries", "Tries beyond the first", metrics.retries.clone());
        metrics
    }

    /// What is counted of one route.
    pub(super) fn passage(&self, route: &str, upstream: &str) -> Arc<PassageMetrics> {
        let (route, upstream) = (route.to_owned(), upstream.to_owned());
        let of_upstream = OfUpstream {
            upstream: upstream.clone(),
        };
        let label = OfRoute { route, upstream };
        let requests = CLASSES.map(|status| {
            let label = label.clone();
            self.requests
                .get_or_create(&Answers {
                    route: label.route,
                    upstream: label.upstream,
                    status,
                })
                .clone()
        });
        Arc::new(PassageMetrics {
            requests,
            duration: self.duration.get_or_create(&label).clone(),
            pending: self.pending.get_or_create(&of_upstream).clone(),
            retries: self.retries.get_or_create(&of_upstream).clone(),
            label,
            metrics: self.clone(),
        })
    }
}

impl PassageMetrics {
    pub(super) fn route(&self) -> &str {
        &self.label.route
    }

    pub(super) fn upstream(&self) -> &str {
        &self.label.upstream
    }

    pub(super) fn begun(&self) {
        self.pending.inc();
    }

    pub(super) fn ended(&self, status: Option<StatusCode>, duration: Duration) {
        self.pending.dec();
        self.duration.observe(duration.as_secs_f64());
        let class = status.map_or(0, |status| usize::from(status.as_u16() / 100));
        self.requests[class.min(CLASSES.len() - 1)].inc();
    }

    pub(super) fn failed(&self, reason: &'static str) {
        let label = Failures {
            route: self.label.route.clone(),
            upstream: self.label.upstream.clone(),
            reason,
        };
        self.metrics.failures.get_or_create(&label).inc();
    }

    pub(super) fn retried(&self) {
        self.retries.inc();
    }
}

/// The state of every breaker, asked at each scrape: an open one becomes half-open by time alone.
#[derive(Debug)]
pub(super) struct BreakerStates {
    roster: Arc<Roster>,
}

impl BreakerStates {
    /// Those of all upstreams that are alive.
    pub(super) fn new(roster: Arc<Roster>) -> Self {
        Self { roster }
    }
}

impl Collector for BreakerStates {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauge = ConstGauge::new(0_i64);
        let mut family = encoder.encode_descriptor(
            "proxy_breaker_state",
            "Whether an address is left alone: 0 closed, 1 half-open, 2 open.",
            None,
            gauge.metric_type(),
        )?;
        let mut told = HashSet::new();
        for (upstream, origin) in self.roster.origins() {
            let Some(breaker) = &origin.breaker else { continue };
            let (upstream, url) = (upstream.to_string(), origin.address.to_string());
            let label = OfAddress { upstream, url };
            // An older configuration may have had the same address.
            if !told.insert(label.clone()) {
                continue;
            }
            let state = match breaker.state() {
                BreakerState::Closed => 0_i64,
                BreakerState::HalfOpen => 1,
                BreakerState::Open { .. } => 2,
            };
            ConstGauge::new(state).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }
}
