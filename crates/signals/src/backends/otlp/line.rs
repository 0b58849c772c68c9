//! What a line is in OpenTelemetry: a log record, a data point, or a part of a span.
//!
//! What cannot be a data point or a span goes as a log record, so that no line is lost for its form.

use std::time::SystemTime;

use jiff::Timestamp;
use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    logs::v1::{LogRecord, SeverityNumber},
    metrics::v1::{Exemplar, NumberDataPoint, exemplar, number_data_point},
};
use serde_json::{Map, Value};
use wire::signal::Level;

use super::{
    ids,
    spans::{Key, Part},
    value::{any, attributes, text},
};

/// What a line is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Log(Box<LogRecord>),
    Point {
        name: String,
        unit: String,
        point: Box<NumberDataPoint>,
    },
    Part(Key, Part),
}

/// The line, taken apart.
struct Parts {
    kind: String,
    time: u64,
    trace: Option<String>,
    span: Option<String>,
    parent: Option<String>,
    data: Map<String, Value>,
    /// What else stands beside them.
    others: Map<String, Value>,
}

/// Reads a line that came at a time.
pub(super) fn read(line: &[u8], received: SystemTime) -> Piece {
    let Ok(mut members) = serde_json::from_slice::<Map<String, Value>>(line) else {
        let body = Some(any(Value::String(String::from_utf8_lossy(line).into_owned())));
        let observed_time_unix_nano = since_1970(received);
        return Piece::Log(Box::new(LogRecord {
            body,
            observed_time_unix_nano,
            ..LogRecord::default()
        }));
    };
    for known in ["v", "src"] {
        members.remove(known);
    }
    let time = members.remove("ts").and_then(|time| time.as_f64());
    let data = match members.remove("data") {
        Some(Value::Object(data)) => data,
        Some(Value::Null) | None => Map::new(),
        Some(other) => Map::from_iter([("data".to_owned(), other)]),
    };
    let mut word = |key: &str| word(&mut members, key);
    let parts = Parts {
        kind: word("type").unwrap_or_default(),
        time: time.map_or_else(|| since_1970(received), nanos),
        trace: word("tid"),
        span: word("sid"),
        parent: word("pid"),
        data,
        others: members,
    };
    match parts.kind.as_str() {
        "metric" => point(parts, received),
        "span" => part(parts, received),
        _ => log(parts, received),
    }
}

fn point(mut parts: Parts, received: SystemTime) -> Piece {
    let value = parts.data.get("value").and_then(Value::as_f64);
    let (Some(value), Some(name)) = (value, word(&mut parts.data, "name")) else {
        return log(parts, received);
    };
    let mut attributes: Vec<KeyValue> = match parts.data.remove("tags") {
        Some(Value::Object(tags)) => attributes(tags).collect(),
        _ => Vec::new(),
    };
    // Ids in the attributes would make a series of every point.
    let mut exemplars = Vec::new();
    if let (Some(trace), Some(span)) = (&parts.trace, &parts.span) {
        let mut filtered_attributes = Vec::new();
        exemplars.push(Exemplar {
            trace_id: ids::trace(trace, &mut filtered_attributes),
            span_id: ids::span(span, "signal.span_id", &mut filtered_attributes),
            filtered_attributes,
            time_unix_nano: parts.time,
            value: Some(exemplar::Value::AsDouble(value)),
        });
    }
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
    Piece::Point {
        name,
        unit: word(&mut parts.data, "unit").unwrap_or_default(),
        point: Box::new(NumberDataPoint {
            attributes,
            time_unix_nano: parts.time,
            exemplars,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..NumberDataPoint::default()
        }),
    }
}

fn part(mut parts: Parts, received: SystemTime) -> Piece {
    let (Some(trace), Some(span)) = (parts.trace.clone(), parts.span.clone()) else {
        return log(parts, received);
    };
    let mut time = |key: &str| parts.data.remove(key).and_then(|time| time.as_f64()).map(nanos);
    let (start, end) = (time("start"), time("end"));
    let part = Part {
        start,
        end,
        name: word(&mut parts.data, "name"),
        status: word(&mut parts.data, "status"),
        parent: parts.parent,
        tags: match parts.data.remove("tags") {
            Some(Value::Object(tags)) => tags,
            _ => Map::new(),
        },
    };
    Piece::Part(Key { trace, span }, part)
}

fn log(mut parts: Parts, received: SystemTime) -> Piece {
    let mut all = vec![text("signal.type", &parts.kind)];
    let level = word(&mut parts.data, "level");
    let body = if parts.kind == "event" && parts.data.get("msg").is_some_and(Value::is_string) {
        let message = parts.data.remove("msg");
        if let Some(Value::Object(context)) = parts.data.remove("ctx") {
            all.extend(attributes(context));
        }
        all.extend(attributes(parts.data));
        message
    } else if parts.data.is_empty() {
        None
    } else {
        Some(Value::Object(parts.data))
    };
    all.extend(attributes(parts.others));
    let trace_id = parts.trace.map(|trace| ids::trace(&trace, &mut all));
    let span_id = parts.span.map(|span| ids::span(&span, "signal.span_id", &mut all));
    all.extend(parts.parent.map(|parent| text("signal.parent_id", &parent)));
    Piece::Log(Box::new(LogRecord {
        time_unix_nano: parts.time,
        observed_time_unix_nano: since_1970(received),
        severity_number: level.as_deref().map_or(SeverityNumber::Unspecified, severity).into(),
        severity_text: level.unwrap_or_default(),
        body: body.map(any),
        attributes: all,
        trace_id: trace_id.unwrap_or_default(),
        span_id: span_id.unwrap_or_default(),
        ..LogRecord::default()
    }))
}

fn severity(level: &str) -> SeverityNumber {
    match Level::named(level) {
        Some(Level::Debug) => SeverityNumber::Debug,
        Some(Level::Info) => SeverityNumber::Info,
        Some(Level::Warn) => SeverityNumber::Warn,
        Some(Level::Error) => SeverityNumber::Error,
        Some(Level::Fatal) => SeverityNumber::Fatal,
        None => SeverityNumber::Unspecified,
    }
}

/// A member that is a text and not empty.
fn word(members: &mut Map<String, Value>, key: &str) -> Option<String> {
    match members.get_mut(key) {
        Some(Value::String(text)) if !text.is_empty() => {
            let text = std::mem::take(text);
            members.remove(key);
            Some(text)
        }
        _ => None,
    }
}

fn nanos(millis: f64) -> u64 {
    u64::try_from(crate::backends::nanos(millis)).unwrap_or_default()
}

fn since_1970(time: SystemTime) -> u64 {
    let time = Timestamp::try_from(time).unwrap_or_default();
    u64::try_from(time.as_nanosecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn piece(line: &Value) -> Piece {
        read(line.to_string().as_bytes(), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn what_cannot_be_a_point_or_a_span_is_a_log_record() {
        let lines = [
            json!({ "src": "a", "ts": 1, "type": "metric", "data": { "name": "n", "value": "high" } }),
            json!({ "src": "a", "ts": 1, "type": "metric", "data": { "value": 1 } }),
            json!({ "src": "a", "ts": 1, "type": "metric" }),
            json!({ "src": "a", "ts": 1, "type": "span", "tid": "t", "data": { "name": "n" } }),
            json!({ "src": "a", "ts": 1, "type": "event", "data": [1] }),
        ];
        for line in lines {
            let Piece::Log(record) = piece(&line) else {
                panic!("{line}")
            };
            assert_eq!(
                record.attributes[0],
                text("signal.type", line["type"].as_str().unwrap())
            );
            assert_eq!(record.body.is_some(), line.get("data").is_some(), "{line}");
        }
    }

    #[test]
    fn an_event_is_its_message_and_all_else_becomes_attributes() {
        let line = json!({
            "src": "a", "ts": 1.5, "type": "event", "tid": "t", "pid": "p", "host": "h",
            "data": { "level": "Warning", "msg": "hot", "ctx": { "n": 1, "deep": { "x": [true, null, 0.5] } }, "more": "m" },
        });
        let Piece::Log(record) = piece(&line) else {
            panic!("a log record")
        };
        assert_eq!(record.time_unix_nano, 1_500_000);
        assert_eq!((record.severity_number, &*record.severity_text), (13, "Warning"));
        assert_eq!(record.body, Some(any("hot".into())));
        let keys: Vec<&str> = record.attributes.iter().map(|pair| &*pair.key).collect();
        let wanted = [
            "signal.type",
            "deep",
            "n",
            "more",
            "host",
            "signal.trace_id",
            "signal.parent_id",
        ];
        assert_eq!(keys, wanted);
    }
}
