//! JSON as attributes and values of OTLP.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value};
use serde_json::{Map, Value};

/// Any JSON value.
pub(super) fn any(value: Value) -> AnyValue {
    let value = match value {
        Value::Null => None,
        Value::Bool(value) => Some(any_value::Value::BoolValue(value)),
        Value::Number(number) => Some(match number.as_i64() {
            Some(number) => any_value::Value::IntValue(number),
            None => any_value::Value::DoubleValue(number.as_f64().unwrap_or_default()),
        }),
        Value::String(text) => Some(any_value::Value::StringValue(text)),
        Value::Array(values) => Some(any_value::Value::ArrayValue(ArrayValue {
            values: values.into_iter().map(any).collect(),
        })),
        Value::Object(members) => Some(any_value::Value::KvlistValue(KeyValueList {
            values: attributes(members).collect(),
        })),
    };
    AnyValue { value }
}

/// Each member as an attribute.
pub(super) fn attributes(members: Map<String, Value>) -> impl Iterator<Item = KeyValue> {
    members.into_iter().map(|(key, value)| pair(key, any(value)))
}

/// An attribute that is a text.
pub(super) fn text(key: &str, value: &str) -> KeyValue {
    pair(key.to_owned(), any(Value::String(value.to_owned())))
}

fn pair(key: String, value: AnyValue) -> KeyValue {
    KeyValue {
        key,
        value: Some(value),
        ..KeyValue::default()
    }
}
