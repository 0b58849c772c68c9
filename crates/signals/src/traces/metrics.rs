//! What the store of traces counts of itself.

use chassis::telemetry::Metrics as Registry;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Unit,
};

/// The metrics of the store.
#[derive(Debug)]
pub(crate) struct TraceMetrics {
    pub(super) traces: Gauge,
    pub(super) bytes: Gauge,
    /// Traces that went because their hour was over.
    pub(super) too_old: Counter,
    /// Traces that went because there was no room.
    pub(super) no_room: Counter,
    /// Lines about spans that were not kept, as their own trace had grown too large.
    pub(super) refused: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl TraceMetrics {
    /// Registers everything.
    pub(crate) fn new(registry: &Registry) -> Self {
        let evicted: Family<Reason, Counter> = Family::default();
        let metrics = Self {
            too_old: evicted.get_or_create(&Reason { reason: "age" }).clone(),
            no_room: evicted.get_or_create(&Reason { reason: "memory" }).clone(),
            ..Self::unregistered()
        };
        registry.register("traces", "Traces that can be shown", metrics.traces.clone());
        registry.register_with_unit(
            "traces_memory",
            "Memory that traces take",
            Unit::Bytes,
            metrics.bytes.clone(),
        );
        registry.register("traces_evicted", "Traces that were forgotten, by reason", evicted);
        registry.register(
            "trace_spans_refused",
            "Spans that were not kept because their trace is too large",
            metrics.refused.clone(),
        );
        metrics
    }

    /// Those that nobody sees.
    pub(super) fn unregistered() -> Self {
        Self {
            traces: Gauge::default(),
            bytes: Gauge::default(),
            too_old: Counter::default(),
            no_room: Counter::default(),
            refused: Counter::default(),
        }
    }
}
