//! Spans as the protobuf message of OTLP.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span as Message, Status, span, status},
};
use prost::Message as _;

use crate::telemetry::traces::{Event, Span, SpanKind, Value};

/// The body of a request with these spans.
pub(super) fn request(resource: &[(String, String)], spans: &[Span]) -> Bytes {
    let attributes = resource.iter().map(|(key, value)| pair(key, text(value))).collect();
    let scope = InstrumentationScope {
        name: "outrigger".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes,
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: spans.iter().map(message).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec().into()
}

/// How many spans the collector says it did not take, and why; none where its answer is no message.
pub(super) fn rejected(answer: &[u8]) -> Option<(u64, String)> {
    let partial = ExportTraceServiceResponse::decode(answer).ok()?.partial_success?;
    let spans = u64::try_from(partial.rejected_spans).ok().filter(|&spans| spans > 0)?;
    Some((spans, partial.error_message))
}

fn message(span: &Span) -> Message {
    let place = &span.place;
    let status = span.failure.as_ref().map(|failure| Status {
        code: status::StatusCode::Error.into(),
        message: failure.clone(),
    });
    let kind = match span.kind {
        SpanKind::Consumer => span::SpanKind::Consumer,
        SpanKind::Server => span::SpanKind::Server,
        SpanKind::Client => span::SpanKind::Client,
    };
    Message {
        trace_id: place.trace_id().to_bytes().to_vec(),
        span_id: place.span_id().to_bytes().to_vec(),
        trace_state: place.tracestate().unwrap_or_default().to_owned(),
        parent_span_id: span.parent.map(|parent| parent.to_bytes().to_vec()).unwrap_or_default(),
        flags: u32::from(place.flags()) | span.parent.map_or(KNOWN, |_| KNOWN | REMOTE),
        name: span.name.to_string(),
        kind: kind.into(),
        start_time_unix_nano: nanos(span.start),
        end_time_unix_nano: nanos(span.end.max(span.start)),
        attributes: pairs(&span.attributes),
        events: span.events.iter().map(event).collect(),
        status: Some(status.unwrap_or_default()),
        ..Message::default()
    }
}

fn event(event: &Event) -> span::Event {
    span::Event {
        time_unix_nano: nanos(event.at),
        name: event.name.to_owned(),
        attributes: pairs(&event.attributes),
        ..span::Event::default()
    }
}

fn pairs(attributes: &[(&'static str, Value)]) -> Vec<KeyValue> {
    attributes
        .iter()
        .map(|(key, value)| {
            let value = match value {
                Value::Text(value) => text(value),
                Value::Integer(value) => any_value::Value::IntValue(*value),
                Value::Float(value) => any_value::Value::DoubleValue(*value),
            };
            pair(key, value)
        })
        .collect()
}

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(value: &str) -> any_value::Value {
    any_value::Value::StringValue(value.to_owned())
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Of a span's flags: whether its parent is in another process is known.
const KNOWN: u32 = 0x100;
/// It is.
const REMOTE: u32 = 0x200;
