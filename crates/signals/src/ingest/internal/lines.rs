//! What a process tells of itself, as lines. Pure.

use std::time::{SystemTime, UNIX_EPOCH};

use chassis::telemetry::{
    Progress, Sample, SampleKind,
    traces::{Span, SpanKind, Value as Attribute},
};
use serde_json::{Map, Number, Value};

use crate::ingest::{Draft, draft::millis};

/// A span: one line, once it has ended, with all that is known of it.
pub(super) fn span<'a>(source: &'a str, span: &Span) -> Draft<'a> {
    let (start, end) = (time(span.start), time(span.end));
    let mut data = Map::new();
    put(&mut data, "name", &*span.name);
    put(&mut data, "start", start);
    put(&mut data, "end", end.clone());
    put(&mut data, "status", if span.failure.is_some() { "error" } else { "ok" });
    if let Some(failure) = &span.failure {
        put(&mut data, "message", failure.as_str());
    }
    put(&mut data, "kind", kind(span.kind));
    put(&mut data, "tags", attributes(&span.attributes));
    if !span.events.is_empty() {
        let events = span.events.iter().map(|event| {
            let mut own = Map::new();
            put(&mut own, "name", event.name);
            put(&mut own, "ts", time(event.at));
            put(&mut own, "tags", attributes(&event.attributes));
            Value::from(own)
        });
        put(&mut data, "events", events.collect::<Vec<_>>());
    }
    let mut draft = Draft::new(source, end, "span", data);
    draft.trace = Some(span.place.trace_id().to_string());
    draft.span = Some(span.place.span_id().to_string());
    draft.parent = span.parent.map(|parent| parent.to_string());
    draft
}

/// How far a message is.
pub(super) fn progress<'a>(source: &'a str, progress: &Progress) -> Draft<'a> {
    let mut data = Map::new();
    put(&mut data, "job_id", progress.job.as_str());
    put(&mut data, "percent", progress.percent);
    if let Some(status) = &progress.status {
        put(&mut data, "status", status.as_str());
    }
    put(&mut data, "actor", &*progress.actor);
    put(&mut data, "message_id", progress.message.as_str());
    let mut draft = Draft::new(source, time(progress.at), "progress", data);
    draft.trace = Some(progress.place.trace_id().to_string());
    draft.span = Some(progress.place.span_id().to_string());
    draft
}

/// A number of the registry; none where JSON has no such number.
pub(super) fn metric<'a>(source: &'a str, sample: &Sample, now: &Number) -> Option<Draft<'a>> {
    let mut data = Map::new();
    put(&mut data, "name", sample.name.as_str());
    put(&mut data, "value", number(sample.value)?);
    if let Some(unit) = sample.unit.as_deref().filter(|_| !is_count(sample)) {
        put(&mut data, "unit", unit);
    }
    let kind = match sample.kind {
        SampleKind::Counter => "counter",
        SampleKind::Gauge | SampleKind::Other => "gauge",
        SampleKind::Histogram => "histogram",
    };
    put(&mut data, "kind", kind);
    if matches!(sample.kind, SampleKind::Counter | SampleKind::Histogram) {
        put(&mut data, "temporality", "cumulative");
    }
    if !sample.labels.is_empty() {
        let labels = sample.labels.iter();
        let tags: Map<String, Value> = labels
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        put(&mut data, "tags", tags);
    }
    Some(Draft::new(source, now.clone(), "metric", data))
}

/// A number of a histogram that counts what was observed, in no unit.
fn is_count(sample: &Sample) -> bool {
    sample.kind == SampleKind::Histogram && (sample.name.ends_with("_count") || sample.name.ends_with("_bucket"))
}

/// Milliseconds since 1970, with fractions.
pub(super) fn time(at: SystemTime) -> Number {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    millis(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A number, whole where it is.
fn number(value: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
    if value.fract() == 0.0 && value.abs() < EXACT {
        return Some((value as i64).into());
    }
    Number::from_f64(value)
}

/// 2^53: whole numbers below it are exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn attributes(attributes: &[(&'static str, Attribute)]) -> Map<String, Value> {
    let value = |attribute: &Attribute| match attribute {
        Attribute::Text(text) => Value::from(&**text),
        Attribute::Integer(number) => Value::from(*number),
        Attribute::Float(number) => Value::from(*number),
    };
    let all = attributes.iter();
    all.map(|(name, attribute)| ((*name).to_owned(), value(attribute)))
        .collect()
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Consumer => "consumer",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
    }
}

fn put(data: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    data.insert(key.to_owned(), value.into());
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use chassis::telemetry::traces::Event;
    use serde_json::json;
    use wire::{Sampling, SpanId, TraceContext, TraceId};

    use super::*;

    fn read(draft: &Draft<'_>) -> Value {
        let mut line = Vec::new();
        draft.write(&mut line);
        serde_json::from_slice(&line).unwrap()
    }

    fn place() -> Arc<TraceContext> {
        Arc::new(TraceContext::root(
            TraceId::new(0xa),
            SpanId::new(0xb),
            Sampling::Recorded,
        ))
    }

    fn at(micros: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(micros)
    }

    #[test]
    fn a_span_is_one_line_with_all_that_is_known() {
        let done = Span {
            place: place(),
            parent: Some(SpanId::new(0xc)),
            name: "clean".into(),
            kind: SpanKind::Consumer,
            start: at(1000),
            end: at(3500),
            attributes: vec![("outrigger.attempt", Attribute::Integer(2))],
            events: vec![Event {
                at: at(2000),
                ..Event::now("retry").with("outrigger.retry.delay", 0.5)
            }],
            failure: Some("no".to_owned()),
        };
        let wanted = json!({
            "v": 1, "src": "me", "ts": 3.5, "type": "span",
            "tid": "0000000000000000000000000000000a", "sid": "000000000000000b", "pid": "000000000000000c",
            "data": {
                "name": "clean", "start": 1, "end": 3.5, "status": "error", "message": "no", "kind": "consumer",
                "tags": { "outrigger.attempt": 2 },
                "events": [{ "name": "retry", "ts": 2, "tags": { "outrigger.retry.delay": 0.5 } }],
            },
        });
        assert_eq!(read(&span("me", &done)), wanted);
    }

    #[test]
    fn progress_names_the_job_the_message_and_its_place_in_the_trace() {
        let half = Progress {
            place: place(),
            at: at(2000),
            job: "j".to_owned(),
            message: "m".to_owned(),
            actor: "a".into(),
            percent: 50.0,
            status: Some("half".to_owned()),
        };
        let wanted = json!({
            "v": 1, "src": "me", "ts": 2, "type": "progress",
            "tid": "0000000000000000000000000000000a", "sid": "000000000000000b",
            "data": { "job_id": "j", "percent": 50.0, "status": "half", "actor": "a", "message_id": "m" },
        });
        assert_eq!(read(&progress("me", &half)), wanted);
    }

    #[test]
    fn a_number_says_what_it_is_and_one_that_json_has_not_is_left_out() {
        let sample = |name: &str, kind, value| Sample {
            name: name.to_owned(),
            kind,
            unit: Some("seconds".to_owned()),
            labels: vec![("actor".to_owned(), "a".to_owned())],
            value,
        };
        let now = Number::from(7);
        let line = |sample: &Sample| metric("me", sample, &now).map(|draft| read(&draft));
        let counted = line(&sample("x_total", SampleKind::Counter, 3.0)).unwrap();
        let wanted = json!({
            "v": 1, "src": "me", "ts": 7, "type": "metric",
            "data": {
                "name": "x_total", "value": 3, "unit": "seconds", "kind": "counter", "temporality": "cumulative",
                "tags": { "actor": "a" },
            },
        });
        assert_eq!(counted, wanted);
        let bucket = line(&sample("x_bucket", SampleKind::Histogram, 0.5)).unwrap();
        assert_eq!(
            (&bucket["data"]["value"], &bucket["data"]["unit"]),
            (&json!(0.5), &Value::Null)
        );
        assert_eq!(line(&sample("x", SampleKind::Gauge, f64::NAN)), None);
    }
}
