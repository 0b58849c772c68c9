//! What the cases are made of.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::envelope::{Envelope, InvalidEnvelope};
use crate::{ErrorRecord, Json, Part, code};

pub(super) fn envelope(text: &str) -> Envelope {
    Envelope::decode(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

pub(super) fn flaw(text: &str) -> InvalidEnvelope {
    Envelope::decode(Bytes::copy_from_slice(text.as_bytes())).unwrap_err()
}

pub(super) fn part(payload: &str) -> Part {
    Part::new(Json::parse(Bytes::copy_from_slice(payload.as_bytes())).unwrap())
}

pub(super) fn value(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap()
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn record() -> ErrorRecord {
    ErrorRecord::new(
        code::TIMEOUT,
        "no reply within 5 m",
        "a",
        3,
        at("2026-03-04T05:06:07.5Z"),
    )
}

pub(super) const FULL: &str = r#" {"mine":[1.0,2], "id":"m-1","parent_id":"p" , "route" : { "actors":["a","b","c"], "metadata":{"x": 1e2},
 "current":1 }, "headers":{"job":"j","n":1,"traceparent":"00-1"},"payload":{ "x" : 1.10 },
 "deadline":"2026-01-01T01:00:00+01:00","attempt":2,"error":{"code":"x"},"last":"\u00e4" } "#;
