//! Gives spans their places, and finished ones to the exporter.

use std::collections::BTreeMap;

use tracing::{info, warn};
use wire::{SpanId, TraceContext, TraceId};

use super::{Sampler, Span};
use crate::{
    lifecycle::Drain,
    telemetry::{
        Metrics, Progress, Report, Reports,
        otlp::{Counts, Exporter, Outbox, Settings},
    },
};

/// Makes spans; a cheap handle, clones share one exporter.
///
/// Without an exporter places are still made, so that a trace goes through a process that does not tell of itself.
#[derive(Debug, Clone, Default)]
pub struct Tracer {
    sampler: Sampler,
    outbox: Option<Outbox>,
    reports: Option<Reports>,
}

impl Tracer {
    /// A tracer as the `OTEL_*` variables want it; what is wrong with them is said in the log, and passed over.
    ///
    /// Spans are exported in a task of `drain`, which sends what it has when the drain begins, within three seconds.
    pub fn from_environment(environment: &BTreeMap<String, String>, metrics: &Metrics, drain: &Drain) -> Self {
        let (settings, notes) = Settings::read(environment);
        for note in notes {
            warn!(%note, "traces");
        }
        let counts = Counts::new(metrics);
        let exporter = settings.export.map(|export| Exporter::new(export, counts));
        let outbox = exporter.and_then(|started| match started {
            Ok((exporter, outbox)) => {
                info!(endpoint = exporter.endpoint(), "exporting spans");
                drain.spawn("span exporter", exporter.run(drain.clone()));
                Some(outbox)
            }
            Err(error) => {
                warn!(%error, cause = error.cause(), "spans are not exported");
                None
            }
        });
        Self {
            sampler: settings.sampler,
            outbox,
            reports: None,
        }
    }

    /// The same tracer, whose spans go that way too, and progress.
    pub fn reporting_to(self, reports: Reports) -> Self {
        Self {
            reports: Some(reports),
            ..self
        }
    }

    /// The place of a new span: within its parent's trace, or the first of the trace that `fresh` makes.
    pub fn place(&self, parent: Option<&TraceContext>, fresh: impl FnOnce() -> TraceId) -> TraceContext {
        let span = SpanId::new(fastrand::u64(1..));
        if let Some(parent) = parent {
            let sampling = self.sampler.decide(parent.trace_id(), Some(parent));
            parent.child(span).sampled(sampling)
        } else {
            let trace = fresh();
            TraceContext::root(trace, span, self.sampler.decide(trace, None))
        }
    }

    /// Whether anybody will hear of the span at this place. If not, nothing need be gathered for it.
    pub fn records(&self, place: &TraceContext) -> bool {
        let is_reported = || self.reports.as_ref().is_some_and(Reports::are_wanted);
        place.is_sampled() && (self.outbox.is_some() || is_reported())
    }

    /// Hands a span over to be exported. Never waits: a span that finds no room is dropped, and counted.
    pub fn finish(&self, span: Span) {
        if !span.place.is_sampled() {
            return;
        }
        if let Some(reports) = &self.reports {
            reports.offer(|| Report::Span(Box::new(span.clone())));
        }
        if let Some(outbox) = &self.outbox {
            outbox.offer(span);
        }
    }

    /// Tells how far a piece of work is, where somebody in this process hears of it; whether its trace is recorded does
    /// not count. Never waits.
    pub fn progress(&self, progress: impl FnOnce() -> Progress) {
        if let Some(reports) = &self.reports {
            reports.offer(|| Report::Progress(progress()));
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::Sampling;

    use super::*;

    #[test]
    fn a_place_is_within_the_parents_trace_and_goes_its_way() {
        let tracer = Tracer::default();
        let fresh = || TraceId::new(7);
        let root = tracer.place(None, fresh);
        assert_eq!((root.trace_id(), root.is_sampled()), (TraceId::new(7), true));
        let dropped = root.clone().sampled(Sampling::Dropped);
        for parent in [root, dropped] {
            let child = tracer.place(Some(&parent), || unreachable!("there is a parent"));
            assert_eq!(child.trace_id(), parent.trace_id());
            assert_ne!(child.span_id(), parent.span_id());
            assert_eq!(child.is_sampled(), parent.is_sampled());
            assert!(!tracer.records(&child), "nobody hears of it");
        }
    }
}
