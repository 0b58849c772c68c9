//! Any bytes are an envelope whose edits read back and keep what they do not name, or are buried whole.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use wire::{
    Envelope, ErrorRecord, InvalidEnvelope, Json, Part, Sampling, SpanId, TraceContext, TraceId, buried, code, valid_id,
};

fuzz_target!(|data: &[u8]| {
    let body = Bytes::copy_from_slice(data);
    match Envelope::decode(body.clone()) {
        Ok(message) => sound(&message),
        Err(invalid) => unsound(&invalid, &body),
    }
});

/// What must hold of an envelope.
fn sound(message: &Envelope) {
    let body = message.body();
    let text = std::str::from_utf8(body).expect("an envelope is text");
    serde_json::from_str::<&RawValue>(text).expect("an envelope is JSON");
    assert!(valid_id(message.id()));
    let payload = message.payload();
    let whole = body.as_ptr_range();
    assert!(whole.contains(&payload.bytes().as_ptr()), "the payload is a slice");
    let _ = (
        message.deadline(),
        message.error(),
        message.parent_id(),
        message.header("job"),
        message.next_actor(),
    );

    let plain = again(&message.finished());
    assert_eq!(plain.attempt(), 1);
    assert!(plain.error_text().is_none());
    assert_eq!(strangers(&plain), strangers(message));
    assert_eq!(plain.payload(), payload);
    assert_eq!(again(&plain.with_attempt(3)).attempt(), 3);
    assert_eq!(again(&plain.with_attempt(3)).finished(), plain.body());
    let failed = again(&message.failed(&record()));
    assert_eq!(failed.error(), Some(record()));
    assert_eq!(again(&message.failed(&record())).finished(), plain.body());
    if let Ok(replay) = failed.replay("1900-01-01T00:00:00Z".parse().expect("a time")) {
        assert_eq!(Some(replay.actor.as_str()), message.here());
        assert!(again(&replay.body).error_text().is_none());
    }

    let part = Part::new(Json::parse(Bytes::from_static(b"[ 1.0 ]")).expect("JSON"));
    for index in [0, 2] {
        let output = again(&message.advance(index, &part));
        assert_eq!(output.id(), message.child_id(index));
        assert_eq!(output.current(), message.current().saturating_add(1));
        assert_eq!(output.actors(), message.actors());
        assert_eq!(output.here(), message.next_actor());
        assert_eq!(output.payload(), part.payload);
        assert_eq!(output.deadline(), message.deadline());
        assert_eq!(output.headers(), message.headers());
        assert_eq!(strangers(&output), strangers(message));
        let parent = if index == 0 {
            message.parent_id()
        } else {
            Some(message.id().to_owned())
        };
        assert_eq!(output.parent_id(), parent);
    }
    // The payload as a route and as headers of its own: taken or passed over, never broken.
    let odd = Part {
        payload: Json::null(),
        route: Some(payload.clone()),
        headers: Some(payload.clone()),
    };
    let output = again(&message.advance(1, &odd));
    match message.next_on(&payload) {
        Ok(next) => assert_eq!(output.here().map(str::to_owned), next),
        Err(_) => assert_eq!(output.actors(), message.actors()),
    }
    let set = Part {
        headers: Some(Json::from_value(&serde_json::json!({"job": "j\n"}))),
        ..part.clone()
    };
    assert_eq!(again(&message.advance(0, &set)).header("job").as_deref(), Some("j\n"));

    // A hop writes its place, into headers that are an object or are none, and what comes of it is read there.
    let mut hop = message.clone();
    let place = hop.enter(step);
    let mut next = again(&hop.advance(0, &part));
    next.enter(|came, id| {
        assert!(came.as_ref() == Some(&*place) || hop.headers().is_none());
        step(came, id)
    });
    let mut odder = again(&hop.advance(1, &odd));
    assert_eq!(hop.place_of(&odd).expect("a place").trace_id(), place.trace_id());
    odder.enter(step);
}

/// The next span of a trace, or the first.
fn step(came: Option<TraceContext>, id: &str) -> TraceContext {
    let span = SpanId::new(7);
    let root = || TraceContext::root(TraceId::of_message(id), span, Sampling::Recorded);
    came.map_or_else(root, |came| came.child(span))
}

/// What must hold of anything else.
fn unsound(invalid: &InvalidEnvelope, body: &Bytes) {
    assert_eq!(&invalid.raw, body);
    assert!(invalid.id.as_deref().is_none_or(valid_id));
    let grave = Envelope::decode_at_end(buried(invalid, &record())).expect("a grave can be read");
    assert!(grave.payload().is_null());
    if let Some(id) = &invalid.id {
        assert_eq!(grave.id(), id);
    }
    let error: serde_json::Value = grave.error_text().expect("a record").read().expect("JSON");
    match std::str::from_utf8(body) {
        Ok(text) => assert_eq!(error["raw"], text),
        Err(_) => assert!(error["raw_base64"].is_string()),
    }
    if let Ok(ended) = Envelope::decode_at_end(body.clone()) {
        let _ = (
            ended.finished(),
            ended.advance(1, &Part::new(Json::null())),
            ended.replay(record().at),
        );
    }
}

fn again(body: &Bytes) -> Envelope {
    Envelope::decode(body.clone()).expect("an edit of an envelope is one")
}

fn record() -> ErrorRecord {
    ErrorRecord::new(
        code::TIMEOUT,
        "no reply",
        "a",
        2,
        "2026-03-04T05:06:07Z".parse().expect("a time"),
    )
}

/// The members that no edit names, key and value by their text, in order.
fn strangers(message: &Envelope) -> Vec<(String, String)> {
    let text = std::str::from_utf8(message.body()).expect("text");
    let mut reader = serde_json::Deserializer::from_str(text);
    let all = serde::de::Deserializer::deserialize_map(&mut reader, Pairs).expect("an object");
    let named = ["id", "job_id", "parent_id", "route", "payload", "attempt", "error"];
    let known = |key: &str| serde_json::from_str::<String>(key).is_ok_and(|key| named.contains(&key.as_str()));
    all.into_iter().filter(|(key, _)| !known(key)).collect()
}

struct Pairs;

impl<'de> serde::de::Visitor<'de> for Pairs {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            pairs.push((key.get().to_owned(), value.get().to_owned()));
        }
        Ok(pairs)
    }
}
