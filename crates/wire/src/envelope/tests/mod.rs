//! What an envelope must do, case by case: [`read`] and [`edit`].

mod edit;
mod read;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Envelope, InvalidEnvelope};
use crate::{ErrorRecord, Json, Part, code};

fn envelope(text: &str) -> Envelope {
    Envelope::decode(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn flaw(text: &str) -> InvalidEnvelope {
    Envelope::decode(Bytes::copy_from_slice(text.as_bytes())).unwrap_err()
}

fn part(payload: &str) -> Part {
    Part::new(Json::parse(Bytes::copy_from_slice(payload.as_bytes())).unwrap())
}

fn value(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn record() -> ErrorRecord {
    ErrorRecord::new(
        code::TIMEOUT,
        "no reply within 5 m",
        "a",
        3,
        at("2026-03-04T05:06:07.5Z"),
    )
}

const FULL: &str = r#" {"mine":[1.0,2], "id":"m-1","parent_id":"p" , "route" : { "actors":["a","b","c"], "metadata":{"x": 1e2},
 "current":1 }, "headers":{"job":"j","n":1,"traceparent":"00-1"},"payload":{ "x" : 1.10 },
 "deadline":"2026-01-01T01:00:00+01:00","attempt":2,"error":{"code":"x"},"last":"\u00e4" } "#;
