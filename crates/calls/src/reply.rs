//! What answers are made of, whichever way they go. Pure.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use wire::Json;

use crate::functions::CallError;

/// The version of what callers may rely on.
pub(crate) const CONTRACT: &str = "2";

/// Says in the head of an answer what callers may rely on.
pub(crate) fn promise(headers: &mut HeaderMap) {
    headers.insert("x-forst-contract-version", HeaderValue::from_static(CONTRACT));
}

/// A domain error, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorValue<'e> {
    tag: &'e str,
    payload: Json,
    message: &'e str,
}

impl<'e> ErrorValue<'e> {
    /// What a domain error says; `None` for any other.
    pub(crate) fn of(error: &'e CallError) -> Option<Self> {
        let CallError::Domain {
            tag, message, payload, ..
        } = error
        else {
            return None;
        };
        Some(Self {
            tag,
            payload: compact(payload),
            message,
        })
    }
}

/// A value on one line, without the blanks between its parts. Numbers and strings stay as they are spelt.
pub(crate) fn compact(value: &Json) -> Json {
    let text = value.bytes();
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    if !text.iter().any(is_blank) {
        return value.clone();
    }
    let (mut compact, mut quoted, mut escaped) = (Vec::with_capacity(text.len()), false, false);
    for &byte in text {
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if is_blank(&byte) {
            continue;
        } else {
            quoted = byte == b'"';
        }
        compact.push(byte);
    }
    Json::parse(compact.into()).expect("blanks between parts of a value mean nothing")
}

/// A value of ours as a line.
pub(crate) fn line(value: &impl Serialize) -> Bytes {
    let mut line = serde_json::to_vec(value).expect("a value of ours has a JSON form");
    line.push(b'\n');
    line.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn compacted(text: &str) -> String {
        compact(&Json::parse(text.to_owned().into()).unwrap())
            .as_str()
            .to_owned()
    }

    #[test]
    fn blanks_within_strings_stay() {
        assert_eq!(
            compacted("{ \"a b\" : [ 1.50 ,\n\t\"x \\\" y \\\\\" , \" \" ] }"),
            "{\"a b\":[1.50,\"x \\\" y \\\\\",\" \"]}"
        );
        assert_eq!(compacted("1"), "1");
    }

    proptest! {
        #[test]
        fn a_compact_value_is_the_same_value(strings in proptest::collection::vec("[ \"\\\\\n\ta-z]{0,8}", 0..6)) {
            let value = Value::from(strings);
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compacted(&pretty), value.to_string());
        }
    }
}
