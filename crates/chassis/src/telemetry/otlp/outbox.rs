//! Where finished spans wait, and what is counted of them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use tokio::sync::mpsc;
use tracing::warn;

use crate::telemetry::{Metrics, traces::Span};

/// The way of finished spans to the exporter; a cheap handle.
#[derive(Debug, Clone)]
pub(in crate::telemetry) struct Outbox {
    spans: mpsc::Sender<Span>,
    counts: Counts,
}

/// What became of spans.
#[derive(Debug, Clone)]
pub(in crate::telemetry) struct Counts {
    exported: Counter,
    dropped: Family<ReasonLabel, Counter>,
    /// A loss was said, and none of it since was made good by an export.
    said: Arc<AtomicBool>,
}

/// Why a span was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// As many as may wait did already.
    Full,
    /// The collector could not be reached, or not in time.
    Unreachable,
    /// The collector does not want it.
    Refused,
    /// The process ended first.
    Shutdown,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl Outbox {
    /// A way on which `waiting` spans have room, and its other end.
    pub(super) fn new(waiting: usize, counts: Counts) -> (Self, mpsc::Receiver<Span>) {
        let (spans, inbox) = mpsc::channel(waiting);
        (Self { spans, counts }, inbox)
    }

    /// Takes a span if there is room for it.
    pub(in crate::telemetry) fn offer(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            self.counts
                .lost(1, Loss::Full, "as many as may wait are waiting for the collector");
        }
    }
}

impl Counts {
    /// Registers them.
    pub(in crate::telemetry) fn new(metrics: &Metrics) -> Self {
        let (exported, dropped) = (Counter::default(), Family::<ReasonLabel, Counter>::default());
        for loss in [Loss::Full, Loss::Unreachable, Loss::Refused, Loss::Shutdown] {
            // A loss that was never met counts zero, so that its first one is an increase.
            let _ = dropped.get_or_create(&loss.into());
        }
        metrics.register("spans_exported", "Spans that the collector has taken", exported.clone());
        metrics.register(
            "spans_dropped",
            "Spans that no collector has got, by reason: full, unreachable, refused, shutdown",
            dropped.clone(),
        );
        Self {
            exported,
            dropped,
            said: Arc::default(),
        }
    }

    /// Counts spans that the collector has; the next loss is said again.
    pub(super) fn exported(&self, spans: usize) {
        self.exported.inc_by(spans as u64);
        self.said.store(false, Ordering::Relaxed);
    }

    /// Counts spans that are lost, and says so if it is the first loss in a row.
    pub(super) fn lost(&self, spans: u64, why: Loss, reason: &str) {
        if spans == 0 {
            return;
        }
        self.dropped.get_or_create(&why.into()).inc_by(spans);
        if !self.said.swap(true, Ordering::Relaxed) {
            warn!(
                spans,
                reason,
                "spans are dropped, messages are not held up; later losses are only counted, in sidecar_spans_dropped_total"
            );
        }
    }
}

impl From<Loss> for ReasonLabel {
    fn from(loss: Loss) -> Self {
        let reason = match loss {
            Loss::Full => "full",
            Loss::Unreachable => "unreachable",
            Loss::Refused => "refused",
            Loss::Shutdown => "shutdown",
        };
        Self { reason }
    }
}
