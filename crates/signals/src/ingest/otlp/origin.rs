//! What the three signals have in common: where they come from, attributes, ids and times.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any},
    resource::v1::Resource,
};
use serde_json::{Map, Number, Value};

use crate::ingest::{Draft, draft::millis};

/// The program that speaks.
#[derive(Debug)]
pub(super) struct Origin {
    /// Its `service.name`.
    pub(super) source: String,
    /// Its other attributes.
    pub(super) resource: Map<String, Value>,
}

/// What one record becomes: its lines, made as they are asked for, or why there are none.
pub(super) type Lines<'l, 'a> = Result<&'l mut dyn Iterator<Item = Draft<'a>>, &'static str>;
/// Is given each record's.
pub(super) type Each<'e> = &'e mut dyn FnMut(Lines<'_, '_>);

/// The name of a program that has none, as OpenTelemetry's conventions have it.
const UNKNOWN: &str = "unknown_service";

impl Origin {
    pub(super) fn new(resource: Option<Resource>) -> Self {
        let mut resource = attributes(resource.unwrap_or_default().attributes);
        let source = match resource.remove("service.name") {
            Some(Value::String(name)) if !name.is_empty() => name,
            Some(Value::Number(number)) => number.to_string(),
            _ => UNKNOWN.to_owned(),
        };
        Self { source, resource }
    }
}

/// The name of a library.
pub(super) fn scope(scope: Option<InstrumentationScope>) -> String {
    scope.map(|scope| scope.name).unwrap_or_default()
}

/// Attributes as an object; of those that stand twice the last one counts.
pub(super) fn attributes(pairs: Vec<KeyValue>) -> Map<String, Value> {
    let pairs = pairs.into_iter();
    pairs
        .map(|pair| (pair.key, pair.value.map_or(Value::Null, value)))
        .collect()
}

/// Any value; bytes are in base64, as in OTLP's own JSON.
pub(super) fn value(any: AnyValue) -> Value {
    match any.value {
        None | Some(Any::StringValueStrindex(_)) => Value::Null,
        Some(Any::StringValue(text)) => text.into(),
        Some(Any::BoolValue(truth)) => truth.into(),
        Some(Any::IntValue(number)) => number.into(),
        Some(Any::DoubleValue(number)) => double(number),
        Some(Any::ArrayValue(array)) => array.values.into_iter().map(value).collect(),
        Some(Any::KvlistValue(list)) => attributes(list.values).into(),
        Some(Any::BytesValue(bytes)) => BASE64_STANDARD.encode(bytes).into(),
    }
}

/// A number; one that JSON has not is its name.
pub(super) fn double(number: f64) -> Value {
    match Number::from_f64(number) {
        Some(number) => number.into(),
        None if number.is_nan() => "NaN".into(),
        None if number > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

/// An id in hexadecimal digits; none where it is not of so many bytes, or all of them are 0.
pub(super) fn id<const BYTES: usize>(bytes: &[u8]) -> Option<String> {
    use std::fmt::Write;

    if bytes.len() != BYTES || bytes.iter().all(|byte| *byte == 0) {
        return None;
    }
    let mut text = String::with_capacity(2 * BYTES);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

/// Nanoseconds since 1970 in milliseconds; none where they are 0, which is OTLP's way to say nothing.
pub(super) fn time(nanoseconds: u64) -> Option<Number> {
    let microseconds = i64::try_from(nanoseconds / 1000).expect("2^64 / 1000 is below 2^63");
    (nanoseconds > 0).then(|| millis(microseconds))
}

/// Adds a text that is not empty.
pub(super) fn add(data: &mut Map<String, Value>, key: &str, text: String) {
    if !text.is_empty() {
        data.insert(key.to_owned(), text.into());
    }
}
