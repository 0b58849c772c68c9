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
        // One after the other: what `get_or_create` gives holds the family's lock until the statement ends.
        let too_old = evicted.get_or_create(&Reason { reason: "age" }).clone();
        let no_room = evicted.get_or_create(&Reason { reason: "memory" }).clone();
        let metrics = Self {
            too_old,
            no_room,
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

#[cfg(test)]
mod tests {
    use chassis::telemetry::Exposition;

    use super::*;

    #[test]
    fn every_reason_is_there_before_anything_was_evicted() {
        let registry = Registry::new();
        let metrics = TraceMetrics::new(&registry);
        metrics.no_room.inc();
        let text = registry.encode(Exposition::Prometheus);
        for line in [
            "sidecar_traces 0",
            "sidecar_traces_memory_bytes 0",
            "sidecar_traces_evicted_total{reason=\"age\"} 0",
            "sidecar_traces_evicted_total{reason=\"memory\"} 1",
            "sidecar_trace_spans_refused_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
    }
}
