//! What is told of one hop to whoever follows its trace.
//!
//! Every message gets its place in its trace. What goes beyond that is gathered only where somebody hears of it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use chassis::telemetry::{
    Progress, in_full,
    traces::{Event, Span, SpanKind, Tracer, Value, cut},
};
use handlers::HandlerError;
use queues::{Again, Delivery};
use wire::{Envelope, Interim, InvalidEnvelope, Reply, SpanId, TraceContext, TraceId, code};

use crate::fate::Tries;

/// Who makes the spans of the plane, and what they say of its queue.
#[derive(Debug, Clone)]
pub struct Tracing {
    tracer: Tracer,
    system: &'static str,
}

/// The span of one hop, from taking the message to the end of its delivery.
#[derive(Debug)]
pub(crate) struct HopSpan {
    place: Arc<TraceContext>,
    /// `None` where nobody hears of it.
    record: Option<Box<Record>>,
    /// How far the work is, as its handler said last.
    percent: f64,
}

#[derive(Debug, Default)]
struct Record {
    parent: Option<SpanId>,
    attributes: Vec<(&'static str, Value)>,
    events: Vec<Event>,
    failure: Option<(String, String)>,
}

/// How a delivery ended, as spans and metrics call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its outputs are safe.
    Forwarded,
    /// It is safe at the error end.
    Failed,
    /// It is in its queue again.
    PutBack,
    /// It was not ours any more, or its queue was closed.
    Lost,
}

/// Of a span; a handler may tell of its progress for hours.
const MAX_EVENTS: usize = 32;

impl Tracing {
    /// Spans made by `tracer`, of work on the queue at `url`.
    pub fn new(tracer: Tracer, url: &str) -> Self {
        Self {
            tracer,
            system: system(url),
        }
    }

    /// Gives a message its place at this hop: within the trace that it says itself, else the one that came beside
    /// it, else its own.
    pub(crate) fn enter(&self, envelope: &mut Envelope, delivery: &Delivery) -> HopSpan {
        let mut parent = None;
        let place = envelope.enter(|said, id| {
            let beside = || delivery.trace().map(|trace| TraceContext::clone(trace));
            let came = said.or_else(beside);
            parent = came.as_ref().map(TraceContext::span_id);
            self.tracer.place(came.as_ref(), || TraceId::of_message(id))
        });
        let mut span = self.begin(place, parent, delivery);
        span.tell(|record| {
            record.set("messaging.message.id", envelope.id().to_owned());
            record.set("outrigger.route.current", envelope.current());
            if let Some(job) = envelope.header("job") {
                record.set("messaging.message.conversation_id", job);
            }
        });
        span
    }

    /// The place of bytes that are no message.
    pub(crate) fn enter_invalid(&self, invalid: &InvalidEnvelope, delivery: &Delivery) -> HopSpan {
        let came = delivery.trace().map(|trace| &**trace);
        let place = self.tracer.place(came, || {
            let random = || TraceId::new(fastrand::u128(1..));
            invalid.id.as_deref().map_or_else(random, TraceId::of_message)
        });
        let mut span = self.begin(Arc::new(place), came.map(TraceContext::span_id), delivery);
        span.tell(|record| {
            if let Some(id) = &invalid.id {
                record.set("messaging.message.id", id.clone());
            }
        });
        span
    }

    fn begin(&self, place: Arc<TraceContext>, parent: Option<SpanId>, delivery: &Delivery) -> HopSpan {
        let record = self.tracer.records(&place).then(|| {
            let mut record = Box::new(Record {
                parent,
                ..Record::default()
            });
            record.set("messaging.system", self.system);
            record.set("messaging.operation.name", "process");
            record.set("messaging.operation.type", "process");
            record.set("messaging.destination.name", delivery.queue().to_string());
            record.set("messaging.message.body.size", delivery.body().len());
            record
        });
        HopSpan {
            place,
            record,
            percent: 0.0,
        }
    }

    /// The handler of a message said something before its final reply. A percentage that it leaves out is as it was.
    pub(crate) fn interim(&self, span: &mut HopSpan, envelope: &Envelope, actor: &Arc<str>, interim: &Interim) {
        let Interim::Progress { percent, message } = interim else {
            return;
        };
        span.percent = percent.unwrap_or(span.percent).clamp(0.0, 100.0);
        self.tracer.progress(|| Progress {
            place: Arc::clone(&span.place),
            at: SystemTime::now(),
            job: envelope.header("job").unwrap_or_else(|| envelope.id().to_owned()),
            message: envelope.id().to_owned(),
            actor: Arc::clone(actor),
            percent: span.percent,
            status: message.clone().map(cut),
        });
        span.progress(*percent, message.as_deref());
    }

    /// Ends a span of `actor` that lasted until now.
    pub(crate) fn end(&self, span: HopSpan, actor: &Arc<str>, lasted: Duration, outcome: Outcome) {
        let HopSpan { place, record, .. } = span;
        let Some(mut record) = record else { return };
        record.set("outrigger.actor", actor.to_string());
        record.set("outrigger.outcome", outcome.name());
        let failure = record.failure.take().map(|(code, message)| {
            record.set("error.type", code);
            cut(message)
        });
        let end = SystemTime::now();
        self.tracer.finish(Span {
            place,
            parent: record.parent,
            name: actor.clone(),
            kind: SpanKind::Consumer,
            start: end.checked_sub(lasted).unwrap_or(end),
            end,
            attributes: record.attributes,
            events: record.events,
            failure,
        });
    }
}

impl Default for Tracing {
    /// Places are made, and nobody hears of them.
    fn default() -> Self {
        Self::new(Tracer::default(), "memory:")
    }
}

impl HopSpan {
    /// Its place in its trace.
    pub(crate) fn place(&self) -> &Arc<TraceContext> {
        &self.place
    }

    /// How often the message was tried.
    pub(crate) fn tries(&mut self, tries: Tries) {
        self.tell(|record| {
            record.set("outrigger.attempt", tries.attempt);
            if let Some(deliveries) = tries.deliveries {
                record.set("outrigger.deliveries", deliveries);
            }
        });
    }

    fn progress(&mut self, percent: Option<f64>, message: Option<&str>) {
        self.tell(|record| {
            let mut event = Event::now("progress");
            if let Some(percent) = percent {
                event = event.with("outrigger.progress.percent", percent);
            }
            if let Some(message) = message {
                event = event.with("outrigger.progress.message", message.to_owned());
            }
            record.event(event);
        });
    }

    /// The exchange with the handler is over.
    pub(crate) fn replied(&mut self, ending: &Result<Reply, HandlerError>) {
        match ending {
            Ok(Reply::Fault(fault)) => {
                self.failed(fault.code.as_deref().unwrap_or(code::HANDLER_ERROR), || {
                    fault.message.clone()
                });
            }
            Ok(_) => {}
            Err(error) => self.failed(error.code(), || in_full(error)),
        }
    }

    /// The work has failed; the last word counts.
    pub(crate) fn failed(&mut self, code: &str, message: impl FnOnce() -> String) {
        self.tell(|record| record.failure = Some((code.to_owned(), message())));
    }

    /// The message goes back.
    pub(crate) fn again(&mut self, again: &Again) {
        self.tell(|record| {
            record.event(Event::now("retry").with("outrigger.retry.delay", again.after.as_secs_f64()));
        });
    }

    /// How many outputs it had.
    pub(crate) fn outputs(&mut self, outputs: usize) {
        self.tell(|record| record.set("outrigger.outputs", outputs));
    }

    fn tell(&mut self, tell: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut self.record {
            tell(record);
        }
    }
}

impl Record {
    fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.attributes.push((name, value.into()));
    }

    fn event(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(event);
        }
    }
}

impl Outcome {
    /// Its name as a label and as an attribute.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Failed => "failed",
            Self::PutBack => "put_back",
            Self::Lost => "lost",
        }
    }
}

/// What the semantic conventions call the queue at `url`.
fn system(url: &str) -> &'static str {
    match url.split(':').next().unwrap_or_default() {
        "amqp" | "amqps" => "rabbitmq",
        "nats" => "nats",
        "redis" => "redis",
        "sqs" => "aws_sqs",
        "sqlite" => "sqlite",
        _ => "memory",
    }
}
