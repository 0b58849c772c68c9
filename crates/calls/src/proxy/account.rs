//! What is noted of one call: when it ends, in whatever way, its metrics and its span are written.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use chassis::telemetry::traces::{Span, SpanKind, Tracer, Value};
use http::{Method, StatusCode};
use wire::{SpanId, TraceContext};

use super::metrics::PassageMetrics;

/// One call.
#[derive(Debug)]
pub(super) struct Account {
    begun: Instant,
    metrics: Arc<PassageMetrics>,
    status: Option<StatusCode>,
    failure: Option<&'static str>,
    span: Option<Box<Draft>>,
}

/// What the span will say.
#[derive(Debug)]
struct Draft {
    tracer: Tracer,
    place: TraceContext,
    parent: Option<SpanId>,
    start: SystemTime,
    method: Method,
    path: String,
    address: Option<String>,
    tries: u32,
}

impl Account {
    /// A call begins.
    pub(super) fn begin(metrics: &Arc<PassageMetrics>) -> Self {
        metrics.begun();
        Self {
            begun: Instant::now(),
            metrics: Arc::clone(metrics),
            status: None,
            failure: None,
            span: None,
        }
    }

    /// It has a span that somebody hears of.
    pub(super) fn record(
        &mut self,
        tracer: &Tracer,
        place: &TraceContext,
        parent: Option<&TraceContext>,
        method: &Method,
        path: &str,
    ) {
        if tracer.records(place) {
            self.span = Some(Box::new(Draft {
                tracer: tracer.clone(),
                place: place.clone(),
                parent: parent.map(TraceContext::span_id),
                start: SystemTime::now(),
                method: method.clone(),
                path: path.to_owned(),
                address: None,
                tries: 0,
            }));
        }
    }

    /// It goes to this address.
    pub(super) fn tries(&mut self, address: impl FnOnce() -> String) {
        if let Some(span) = &mut self.span {
            span.tries += 1;
            span.address = Some(address());
        }
    }

    /// It is answered with this status.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// It has failed.
    pub(super) fn failed(&mut self, reason: &'static str) {
        self.failure = Some(reason);
        self.metrics.failed(reason);
    }
}

/// A call that ends without an answer was given up by its client.
impl Drop for Account {
    fn drop(&mut self) {
        self.metrics.ended(self.status, self.begun.elapsed());
        if self.status.is_none() && self.failure.is_none() {
            self.metrics.failed("client");
        }
        let Some(span) = self.span.take() else {
            return;
        };
        let mut attributes: Vec<(&'static str, Value)> = vec![
            ("http.request.method", span.method.to_string().into()),
            ("http.route", self.metrics.route().to_owned().into()),
            ("url.path", span.path.into()),
            ("outrigger.upstream", self.metrics.upstream().to_owned().into()),
            ("outrigger.tries", span.tries.into()),
        ];
        if let Some(address) = span.address {
            attributes.push(("server.address", address.into()));
        }
        if let Some(status) = self.status {
            attributes.push(("http.response.status_code", u32::from(status.as_u16()).into()));
        }
        let is_failure = self.failure.is_some() || self.status.is_none_or(|status| status.is_server_error());
        let failure = is_failure.then(|| {
            let status = self.status.map(|status| status.to_string());
            self.failure
                .map(str::to_owned)
                .or(status)
                .unwrap_or_else(|| "the client has left".to_owned())
        });
        span.tracer.finish(Span {
            place: Arc::new(span.place),
            parent: span.parent,
            name: format!("{} {}", span.method, self.metrics.route()).into(),
            kind: SpanKind::Server,
            start: span.start,
            end: SystemTime::now(),
            attributes,
            events: Vec::new(),
            failure,
        });
    }
}
