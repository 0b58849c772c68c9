//! What must hold of every envelope: against a model that works on a tree, and byte for byte.

mod common;

use bytes::Bytes;
use common::{Sample, json, sample, space};
use proptest::prelude::*;
use serde_json::{Value, json};
use wire::{
    Envelope, ErrorRecord, Frame, Json, Part, Protocol, Reply, ReplyStyle, Sampling, SpanId, TraceContext, TraceId,
    child_id, code, read_reply,
};

fn decode(sample: &Sample) -> Envelope {
    Envelope::decode(sample.text.clone().into()).expect("a sound envelope")
}

fn tree(body: &Bytes) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

fn part(text: &str) -> Part {
    Part::new(Json::parse(text.to_owned().into()).expect("JSON"))
}

fn record() -> ErrorRecord {
    ErrorRecord::new(
        code::NO_QUEUE,
        "queue `b` does not exist",
        "a",
        2,
        "2026-03-04T05:06:07Z".parse().expect("a time"),
    )
}

/// The id of a tree: the newer spelling wins, `null` is absent.
fn id_of(tree: &Value) -> String {
    let id = [&tree["id"], &tree["job_id"]].into_iter().find_map(Value::as_str);
    id.expect("a sound envelope").to_owned()
}

fn current_of(tree: &Value) -> i64 {
    let current = &tree["route"]["current"];
    #[expect(clippy::cast_possible_truncation, reason = "the samples have small numbers")]
    current
        .as_i64()
        .or_else(|| current.as_f64().map(|current| current as i64))
        .expect("a number")
}

/// What `advance` does, on a tree.
fn advanced(mut tree: Value, index: usize, payload: &str) -> Value {
    let (id, current) = (id_of(&tree), current_of(&tree));
    tree["route"]["current"] = json!(current + 1);
    tree["payload"] = serde_json::from_str(payload).expect("JSON");
    let fields = tree.as_object_mut().expect("an object");
    fields.remove("attempt");
    fields.remove("error");
    if index > 0 {
        for spelling in ["id", "job_id"] {
            if fields.contains_key(spelling) {
                fields.insert(spelling.to_owned(), json!(child_id(&id, current, index)));
            }
        }
        fields.insert("parent_id".to_owned(), json!(id));
    }
    tree
}

/// Each of `pieces` stands in `text`, in this order.
fn in_order(text: &Bytes, pieces: &[String]) -> bool {
    let text = std::str::from_utf8(text).expect("UTF-8");
    let walk = pieces.iter().try_fold(text, |rest, piece| {
        Some(&rest[rest.find(piece.as_str())? + piece.len()..])
    });
    walk.is_some()
}

proptest! {
    #[test]
    fn what_is_read_is_what_a_tree_says(sample in sample()) {
        let (message, tree) = (decode(&sample), tree(&sample.text.clone().into()));
        prop_assert_eq!(message.id(), id_of(&tree));
        prop_assert_eq!(message.current(), current_of(&tree));
        let list = [&tree["route"]["actors"], &tree["route"]["steps"]].into_iter().find(|list| list.is_array());
        prop_assert_eq!(&json!(message.actors()), list.expect("a list"));
        prop_assert_eq!(message.parent_id(), tree["parent_id"].as_str().map(str::to_owned));
        prop_assert_eq!(message.header("job"), tree["headers"]["job"].as_str().map(str::to_owned));
        prop_assert_eq!(message.payload().to_string(), sample.payload.as_str());
        prop_assert_eq!(message.error().is_some(), tree["error"].is_object());
        prop_assert_eq!(message.body(), &sample.text);
    }

    #[test]
    fn an_output_is_what_a_tree_would_be_and_keeps_every_byte_that_is_not_edited(
        sample in sample(), payload in json(), index in 0_usize..4,
    ) {
        let message = decode(&sample);
        let output = message.advance(index, &part(&payload));
        prop_assert_eq!(tree(&output), advanced(tree(message.body()), index, &payload));
        prop_assert!(in_order(&output, &sample.kept), "{:?}", output);
        let read = Envelope::decode(output).expect("an output is an envelope");
        prop_assert_eq!(read.payload().to_string(), payload);
        prop_assert_eq!(read.id(), message.child_id(index));
        prop_assert_eq!(read.actors(), message.actors());
        prop_assert_eq!(read.here(), message.next_actor());
    }

    #[test]
    fn what_was_added_can_be_taken_away_without_a_trace(sample in sample(), attempt in 2_u32..) {
        let message = decode(&sample);
        let plain = message.finished();
        prop_assert!(in_order(&plain, &sample.kept));
        let plain = Envelope::decode(plain).expect("an envelope");
        for body in [plain.with_attempt(attempt), plain.failed(&record()), message.failed(&record())] {
            prop_assert_eq!(Envelope::decode(body).expect("an envelope").finished(), plain.body());
        }
        let failed = Envelope::decode(message.failed(&record())).expect("an envelope");
        prop_assert_eq!(failed.error(), Some(record()));
        prop_assert_eq!(failed.payload().to_string(), sample.payload.as_str());
        prop_assert_eq!(Envelope::decode(message.with_attempt(attempt)).expect("an envelope").attempt(), attempt);
    }

    #[test]
    fn a_replay_is_the_failed_message_as_it_was(sample in sample()) {
        let message = decode(&sample);
        let failed = Envelope::decode(message.failed(&record())).expect("an envelope");
        let early = "2000-01-01T00:00:00Z".parse().expect("a time");
        match failed.replay(early) {
            Ok(replay) => {
                prop_assert_eq!(Some(replay.actor.as_str()), message.here());
                prop_assert_eq!(replay.body, message.finished());
            }
            Err(_) => prop_assert!(message.here().is_none_or(|actor| wire::actor_name(actor).is_err())),
        }
    }

    #[test]
    fn a_fan_out_neither_loses_nor_invents(sample in sample(), results in prop::collection::vec(json(), 0..8)) {
        let message = decode(&sample);
        let frame = format!("[{}]", results.join(" , "));
        let frame = read_reply(frame.into(), ReplyStyle::Bare, Protocol::Plain).expect("a reply");
        let Frame::Final(reply) = frame else { panic!("more will come") };
        let parts = reply.parts();
        let payloads: Vec<&str> = parts.iter().map(|part| part.payload.as_str()).collect();
        prop_assert_eq!(payloads, results.iter().map(String::as_str).collect::<Vec<_>>());
        let outputs: Vec<Envelope> = (0..).zip(&parts)
            .map(|(index, part)| Envelope::decode(message.advance(index, part)).expect("an envelope"))
            .collect();
        let ids: std::collections::BTreeSet<&str> = outputs.iter().map(Envelope::id).collect();
        prop_assert_eq!(ids.len(), results.len());
        for (index, output) in outputs.iter().enumerate() {
            prop_assert_eq!(output.id(), message.child_id(index));
            let parent = if index == 0 { message.parent_id() } else { Some(message.id().to_owned()) };
            prop_assert_eq!(output.parent_id(), parent);
        }
    }

    #[test]
    fn a_framed_result_is_the_one_that_was_framed(
        result in json(), a in space(), b in space(), first in any::<bool>(), other in json(),
    ) {
        let (status, result_member) = (format!("{a}\"status\"{b}:\"ok\""), format!("\"result\":{b}{result}{a}"));
        let (one, two) = if first { (status, result_member) } else { (result_member, status) };
        let frame = Bytes::from(format!("{b}{{{one},\"x\":{other},{two}}}{a}"));
        for protocol in [Protocol::Plain, Protocol::One] {
            let read = read_reply(frame.clone(), ReplyStyle::Auto, protocol).expect("a reply");
            let expected = Json::parse(result.clone().into()).expect("JSON");
            prop_assert_eq!(read, Frame::Final(Reply::Done(Some(expected))));
        }
    }

    #[test]
    fn a_hop_changes_the_headers_of_its_trace_and_nothing_else(sample in sample(), trace: u128, span: u64) {
        let mut message = decode(&sample);
        let came = tree(message.body());
        let hop = message.enter(|parent, id| {
            assert_eq!(id, id_of(&came));
            assert_eq!(parent, None, "the samples have no trace");
            TraceContext::root(TraceId::new(trace), SpanId::new(span), Sampling::Recorded)
        });
        let mut expected = came.clone();
        expected.as_object_mut().expect("an object").remove("attempt");
        expected.as_object_mut().expect("an object").remove("error");
        if matches!(came["headers"], Value::Null | Value::Object(_)) {
            expected["headers"]["traceparent"] = json!(hop.traceparent());
        }
        let finished = message.finished();
        prop_assert_eq!(tree(&finished), expected);
        let text = String::from_utf8(finished.to_vec()).expect("text");
        for kept in sample.kept.iter().filter(|kept| !kept.starts_with("\"headers\"")) {
            prop_assert!(text.contains(kept), "{kept} of {text}");
        }
        let mut next = Envelope::decode(finished).expect("still an envelope");
        next.enter(|parent, _| {
            let shown = parent.as_ref() == Some(&*hop);
            assert!(shown || came["headers"] == json!(7), "{parent:?}");
            TraceContext::root(TraceId::new(trace), SpanId::new(span), Sampling::Recorded)
        });
    }

    #[test]
    fn any_bytes_are_an_envelope_or_are_buried_whole(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let raw = Bytes::from(bytes);
        if let Err(invalid) = Envelope::decode(raw.clone()) {
            prop_assert_eq!(&invalid.raw, &raw);
            let grave = Envelope::decode_at_end(wire::buried(&invalid, &record())).expect("a grave");
            let error: Value = grave.error_text().expect("a record").read().expect("JSON");
            match std::str::from_utf8(&raw) {
                Ok(text) => prop_assert_eq!(&error["raw"], text),
                Err(_) => prop_assert!(error["raw_base64"].is_string()),
            }
        }
    }
}
