//! What is told of calls: a span and figures of each, by function.
//!
//! The one rule: a call is counted exactly once. One that nobody waits for any more is `canceled`.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Instant, SystemTime},
};

use chassis::telemetry::{
    Metrics as Registry,
    traces::{Span, SpanKind, Tracer, Value},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Unit,
};
use wire::{Json, SpanId, TraceContext, TraceId};

use crate::functions::{CallError, Caller};

/// Where calls are told of; a cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Telemetry {
    tracer: Tracer,
    families: Arc<Families>,
}

#[derive(Debug)]
struct Families {
    calls: Family<CallLabels, Counter>,
    busy: Family<FunctionLabels, Gauge>,
    duration: Family<FunctionLabels, Histogram, fn() -> Histogram>,
}

/// One function's own samples.
#[derive(Debug, Clone)]
pub(crate) struct FunctionMetrics {
    busy: Gauge,
    duration: Histogram,
}

/// One call, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Account {
    telemetry: Telemetry,
    labels: FunctionLabels,
    metrics: FunctionMetrics,
    way: &'static str,
    place: Arc<TraceContext>,
    parent: Option<SpanId>,
    begun: Instant,
    start: SystemTime,
    /// `None` when it has been told of.
    outcome: Option<&'static str>,
    failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FunctionLabels {
    package: String,
    function: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    package: String,
    function: String,
    way: &'static str,
    outcome: &'static str,
}

impl Telemetry {
    /// Registers the figures of the plane.
    pub(crate) fn new(registry: &Registry, tracer: Tracer) -> Self {
        let families = Families {
            calls: Family::default(),
            busy: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
        };
        let help = "Calls that have ended, by function, by the way that they came (http, ipc, actor) and by outcome";
        registry.register("calls", help, families.calls.clone());
        let help = "Calls under way, by function";
        registry.register("calls_in_flight", help, families.busy.clone());
        let help = "Time of a call from its beginning to its end, by function";
        registry.register_with_unit("call_duration", help, Unit::Seconds, families.duration.clone());
        Self {
            tracer,
            families: Arc::new(families),
        }
    }

    /// The samples of one function.
    pub(crate) fn function(&self, package: &str, function: &str) -> FunctionMetrics {
        let labels = labels(package, function);
        FunctionMetrics {
            busy: self.families.busy.get_or_create(&labels).clone(),
            duration: self.families.duration.get_or_create(&labels).clone(),
        }
    }

    /// A call begins.
    pub(crate) fn begin(&self, package: &str, function: &str, metrics: &FunctionMetrics, caller: &Caller) -> Account {
        metrics.busy.inc();
        let fresh = || TraceId::new(fastrand::u128(1..));
        Account {
            telemetry: self.clone(),
            labels: labels(package, function),
            metrics: metrics.clone(),
            way: caller.way,
            place: Arc::new(self.tracer.place(caller.trace.as_ref(), fresh)),
            parent: caller.trace.as_ref().map(TraceContext::span_id),
            begun: Instant::now(),
            start: SystemTime::now(),
            outcome: Some("canceled"),
            failure: Some("its caller left".to_owned()),
        }
    }
}

impl Account {
    /// The headers that carry the call's place in its trace on to the handler.
    pub(crate) fn headers(&self) -> Json {
        let mut headers = BTreeMap::from([(TraceContext::TRACEPARENT, self.place.traceparent())]);
        headers.extend(
            self.place
                .tracestate()
                .map(|state| (TraceContext::TRACESTATE, state.to_owned())),
        );
        Json::from_value(&headers)
    }

    /// It ended so.
    pub(crate) fn end(mut self, end: &Result<Json, CallError>) {
        let error = end.as_ref().err();
        self.outcome = Some(error.map_or("ok", CallError::label));
        self.failure = error.filter(|error| error.is_ours()).map(ToString::to_string);
    }

    /// It never came to its handler.
    pub(crate) fn refuse(mut self, error: CallError) -> CallError {
        self.outcome = Some(error.label());
        self.failure = error.is_ours().then(|| error.to_string());
        error
    }

    fn tell(&mut self, outcome: &'static str) {
        self.metrics.busy.dec();
        self.metrics.duration.observe(self.begun.elapsed().as_secs_f64());
        let FunctionLabels { package, function } = &self.labels;
        let labels = CallLabels {
            package: package.clone(),
            function: function.clone(),
            way: self.way,
            outcome,
        };
        self.telemetry.families.calls.get_or_create(&labels).inc();
        if !self.telemetry.tracer.records(&self.place) {
            return;
        }
        self.telemetry.tracer.finish(Span {
            place: Arc::clone(&self.place),
            parent: self.parent,
            name: format!("call {package}/{function}").into(),
            kind: SpanKind::Server,
            start: self.start,
            end: SystemTime::now(),
            attributes: vec![
                ("outrigger.package", Value::from(package.clone())),
                ("outrigger.function", Value::from(function.clone())),
                ("outrigger.way", Value::from(self.way)),
                ("outrigger.outcome", Value::from(outcome)),
            ],
            events: Vec::new(),
            failure: self.failure.take(),
        });
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome.take() {
            self.tell(outcome);
        }
    }
}

fn labels(package: &str, function: &str) -> FunctionLabels {
    FunctionLabels {
        package: package.to_owned(),
        function: function.to_owned(),
    }
}

/// In seconds: from what a call costs at least to what is long for one.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];
