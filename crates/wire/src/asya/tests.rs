use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{BadReply, Part, Reply};

fn message(text: &str) -> Envelope {
    Envelope::decode_at_end(Bytes::copy_from_slice(text.as_bytes())).expect("an envelope")
}

fn request(text: &str, generation: Generation) -> String {
    let message = message(text);
    let exchange = Exchange::new(&message, generation, Position::Step, Json::null());
    String::from_utf8(exchange.request("here").to_vec()).expect("text")
}

fn read(text: &str, generation: Generation, answer: &str) -> Result<Reply, BadReply> {
    let message = message(text);
    let exchange = Exchange::new(&message, generation, Position::Step, Json::null());
    exchange.read(Bytes::copy_from_slice(answer.as_bytes()))
}

fn parts(text: &str, generation: Generation, answer: &str) -> Vec<Part> {
    read(text, generation, answer).expect("a reply").parts()
}

fn json(text: &str) -> Json {
    Json::parse(Bytes::copy_from_slice(text.as_bytes())).expect("JSON")
}

const NEWER: &str = r#"{"id":"m", "route":{"actors":["a","b"],"current":0,"metadata":{"k":1.0}},"headers":{"h":1},"payload":[ 1.50 ],"mine":true}"#;
const OLDER: &str =
    r#"{"job_id":"m","route":{"steps":["a","b"],"current":1.0},"headers":null,"payload":{},"deadline":"x"}"#;

#[test]
fn a_message_is_told_in_the_runtimes_spelling_and_every_other_byte_stays() {
    assert_eq!(
        request(NEWER, Generation::One),
        r#"{"job_id":"m", "route":{"steps":["a","b"],"current":0,"metadata":{"k":1.0}},"headers":{"h":1},"payload":[ 1.50 ],"mine":true}"#
    );
    assert_eq!(request(NEWER, Generation::Two), NEWER);
    assert_eq!(
        request(NEWER, Generation::Three),
        r#"{"id":"m", "route":{"metadata":{"k":1.0},"prev":[],"curr":"a","next":["b"]},"headers":{"h":1},"payload":[ 1.50 ],"mine":true}"#
    );
    assert_eq!(
        request(OLDER, Generation::One),
        r#"{"job_id":"m","route":{"steps":["a","b"],"current":1},"payload":{},"deadline":"x"}"#,
        "an index is an integer, and headers are an object or none"
    );
    assert_eq!(
        request(OLDER, Generation::Two),
        r#"{"id":"m","route":{"actors":["a","b"],"current":1},"payload":{},"deadline":"x"}"#
    );
    assert_eq!(
        request(OLDER, Generation::Three),
        r#"{"id":"m","route":{"prev":["a"],"curr":"b","next":[]},"payload":{},"deadline":"x"}"#
    );
}

#[test]
fn where_both_spellings_stand_the_one_that_counts_is_told() {
    let both = r#"{"job_id":"old","id":"new","route":{"steps":["z"],"actors":["a"],"current":0},"payload":0}"#;
    assert_eq!(
        request(both, Generation::One),
        r#"{"job_id":"new","route":{"steps":["a"],"current":0},"payload":0}"#
    );
    assert_eq!(
        request(both, Generation::Two),
        r#"{"id":"new","route":{"actors":["a"],"current":0},"payload":0}"#
    );
}

#[test]
fn a_message_without_a_route_and_one_at_its_end_are_told_too() {
    let without = r#"{"id":"m","payload":null,"error":{"code":"x"}}"#;
    assert_eq!(
        request(without, Generation::Two),
        r#"{"id":"m","payload":null,"error":{"code":"x"},"route":{"actors":["here"],"current":0}}"#
    );
    let done = r#"{"id":"m","route":{"actors":["a","b"],"current":2},"payload":null}"#;
    assert_eq!(
        request(done, Generation::Three),
        r#"{"id":"m","route":{"prev":["a","b"],"curr":"","next":[]},"payload":null}"#
    );
}

#[test]
fn the_headers_of_the_hop_take_the_place_of_the_messages() {
    let message = message(NEWER);
    let headers = json(r#"{"h":1,"traceparent":"t"}"#);
    let exchange = Exchange::new(&message, Generation::Two, Position::Step, headers);
    let sent: Value = serde_json::from_slice(&exchange.request("a")).expect("JSON");
    assert_eq!(sent["headers"], json!({"h": 1, "traceparent": "t"}));
    let back = r#"[{"payload":1,"headers":{ "traceparent": "\u0074", "h": 1 }}]"#;
    let reply = exchange.read(back.into()).expect("a reply");
    assert_eq!(reply.parts()[0].headers, None, "handed back as they were");
}

#[test]
fn a_route_that_comes_back_as_it_was_is_the_messages_own() {
    for (generation, route) in [
        (
            Generation::One,
            r#"{"steps": ["a", "b"], "current": 0, "metadata": {"k": 1.0}}"#,
        ),
        (
            Generation::Two,
            r#"{"actors": ["a", "b"], "current": 1, "metadata": {"k": 1.0}}"#,
        ),
        (Generation::Three, r#"{"prev": ["a"], "curr": "b", "next": []}"#),
        (Generation::Three, r#"{"prev": [], "curr": "a", "next": ["b"]}"#),
    ] {
        let frame = format!(r#"{{"payload": 2.0, "route": {route}, "headers": {{"h": 1}}}}"#);
        let answer = match generation {
            Generation::Three => format!(r#"{{"frames": [{frame}]}}"#),
            _ => format!("[{frame}]"),
        };
        assert_eq!(parts(NEWER, generation, &answer), [Part::new(json("2.0"))], "{route}");
    }
}

#[test]
fn a_route_that_the_runtime_has_changed_is_taken_in_our_terms() {
    let route = |generation, answer: &str| parts(NEWER, generation, answer)[0].route.clone().expect("a route");
    let changed = route(
        Generation::Two,
        r#"[{"payload":1,"route":{"actors":["a","c"],"current":1}}]"#,
    );
    assert_eq!(changed.as_str(), r#"{"actors":["a","c"],"current":1}"#);
    let changed = route(
        Generation::Three,
        r#"{"frames":[{"payload":1,"route":{"prev":["a"],"curr":"c","next":["d"]},"status":{}}]}"#,
    );
    assert_eq!(
        changed.as_str(),
        r#"{"actors":["a","c","d"],"current":1,"metadata":{"k":1.0}}"#
    );
    assert_eq!(message(NEWER).next_on(&changed).expect("agrees").as_deref(), Some("c"));
    let ended = route(
        Generation::Three,
        r#"{"frames":[{"payload":1,"route":{"prev":["a"],"curr":"","next":[]}}]}"#,
    );
    assert_eq!(message(NEWER).next_on(&ended).expect("agrees"), None);
    // One that rewrites what has happened is handed on, for those who refuse it.
    let past = route(
        Generation::Three,
        r#"{"frames":[{"payload":1,"route":{"prev":["z"],"curr":"b","next":[]}}]}"#,
    );
    assert!(message(NEWER).next_on(&past).is_err());
    let ahead = route(
        Generation::Two,
        r#"[{"payload":1,"route":{"actors":["a","b"],"current":7}}]"#,
    );
    assert!(message(NEWER).next_on(&ahead).is_err());
}

#[test]
fn no_frames_are_no_output_and_a_null_payload_is_one() {
    for (generation, answer) in [
        (Generation::One, "[]"),
        (Generation::Two, " [ ]\n"),
        (Generation::Three, r#"{"frames":[]}"#),
    ] {
        assert_eq!(read(NEWER, generation, answer).expect("a reply"), Reply::Done(None));
    }
    assert_eq!(
        parts(NEWER, Generation::Two, r#"[{"payload":null},{"payload":[1]}]"#).len(),
        2
    );
}

#[test]
fn an_error_frame_is_the_failure_with_all_that_it_says() {
    let answer = r#"[{"error":"processing_error","details":{"message":"no model","type":"ValueError","traceback":"Traceback ..","mro":["Exception"]}}]"#;
    for generation in [Generation::One, Generation::Two] {
        let Ok(Reply::Fault(fault)) = read(NEWER, generation, answer) else {
            panic!("no fault")
        };
        assert_eq!(fault.code.as_deref(), Some("processing_error"));
        assert_eq!(
            (fault.message.as_str(), fault.kind.as_deref()),
            ("no model", Some("ValueError"))
        );
        assert_eq!(fault.traceback.as_deref(), Some("Traceback .."));
        assert_eq!(fault.details.expect("details").as_str(), r#"{"mro":["Exception"]}"#);
        assert_eq!(fault.retryable, None);
    }
    let bare = fault(&Bytes::from_static(br#"{"error":"oom_error"}"#)).expect("a fault");
    assert_eq!(
        (bare.code.as_deref(), bare.message.as_str()),
        (Some("oom_error"), "oom_error")
    );
    let known = fault(&Bytes::from_static(br#"{"error":"e","details":{"type":"T"}}"#)).expect("a fault");
    assert_eq!((known.message.as_str(), known.details), ("T", None));
    let among = read(NEWER, Generation::Two, r#"[{"payload":1},{"error":"e"}]"#);
    assert!(matches!(among, Ok(Reply::Fault(_))), "one failure makes the whole one");
    assert_eq!(fault(&Bytes::from_static(b"<html>")), None);
    assert_eq!(fault(&Bytes::from_static(br#"{"error":""}"#)), None);
}

#[test]
fn what_is_no_list_of_frames_is_a_bad_reply_but_at_an_end_frames_are_nobodys_business() {
    for answer in [
        "",
        "{}",
        "7",
        "[7]",
        "[{}]",
        r#"[{"payload":1,"route":[]}]"#,
        "[1",
        r#"[{"payload":1,"headers":1}]"#,
    ] {
        assert!(read(NEWER, Generation::Two, answer).is_err(), "{answer}");
    }
    for answer in [
        "",
        "[]",
        "{}",
        r#"{"frames":{}}"#,
        r#"{"frames":[{"payload":1,"route":{"curr":"a"}}]}"#,
    ] {
        assert!(read(NEWER, Generation::Three, answer).is_err(), "{answer}");
    }
    let message = message(NEWER);
    let end = Exchange::new(&message, Generation::Two, Position::End, Json::null());
    assert_eq!(end.read("[{}]".into()).expect("a reply"), Reply::Done(None));
    assert!(matches!(end.read(r#"[{"error":"e"}]"#.into()), Ok(Reply::Fault(_))));
}

#[test]
fn what_is_shown_of_a_stream_is_the_payload() {
    assert_eq!(shown(json(r#"{"payload":{"t":"x"}}"#)).as_str(), r#"{"t":"x"}"#);
    assert_eq!(shown(json("[1]")).as_str(), "[1]");
}

/// What a runtime of each generation does with a message that it hands on unchanged.
fn echo(generation: Generation, request: &str) -> String {
    let message: Value = serde_json::from_str(request).expect("JSON");
    let mut route = message["route"].clone();
    match generation {
        Generation::One => {}
        Generation::Two => route["current"] = json!(route["current"].as_i64().expect("an index") + 1),
        Generation::Three => {
            let names = |name: &str| route[name].as_array().expect("a list").clone();
            let (mut prev, mut next) = (names("prev"), names("next"));
            prev.push(route["curr"].clone());
            let curr = if next.is_empty() { json!("") } else { next.remove(0) };
            route = json!({"prev": prev, "curr": curr, "next": next});
        }
    }
    let mut frame = json!({"payload": message["payload"], "route": route});
    if let Some(headers) = message.get("headers") {
        frame["headers"] = headers.clone();
    }
    match generation {
        Generation::Three => json!({"frames": [frame]}).to_string(),
        _ => json!([frame]).to_string(),
    }
}

proptest! {
    #[test]
    fn a_message_that_is_handed_on_leaves_as_it_came_one_step_further(
        older in any::<bool>(),
        id in "[a-zA-Z0-9 \\\\\"\u{e9}]{1,12}",
        actors in prop::collection::vec("[a-z]{1,4}", 1..5),
        at in 0_usize..5,
        headers in prop::option::of(prop::collection::btree_map("[a-z]{1,4}", "[a-z\"]{0,4}", 0..3)),
        generation in prop::sample::select(vec![Generation::One, Generation::Two, Generation::Three]),
    ) {
        let at = at.min(actors.len() - 1);
        let (id_name, list) = if older { ("job_id", "steps") } else { ("id", "actors") };
        let headers = headers.map_or_else(String::new, |headers| format!(r#""headers": {},"#, json!(headers)));
        let text = format!(
            r#"{{"{id_name}":{},"route":{{"{list}":{},"current":{at} ,"metadata":{{}}}},{headers}"payload":0, "x":1.0}}"#,
            json!(id), json!(actors)
        );
        let message = message(&text);
        let exchange = Exchange::new(&message, generation, Position::Step, Json::null());
        let request = String::from_utf8(exchange.request("here").to_vec()).expect("text");
        let value: Value = serde_json::from_str(&request).expect("a request is JSON");
        let own = if generation == Generation::One { "job_id" } else { "id" };
        prop_assert_eq!(&value[own], &json!(id));
        prop_assert_eq!(&value["x"], &json!(1.0));

        let reply = exchange.read(echo(generation, &request).into()).expect("a reply");
        let parts = reply.parts();
        prop_assert_eq!(parts.len(), 1);
        prop_assert_eq!(&parts[0], &Part::new(json("0")));
        let output = message.advance(0, &parts[0]);
        let expected = text.replace(&format!(r#""current":{at}"#), &format!(r#""current":{}"#, at + 1));
        prop_assert_eq!(output, expected);
    }

    #[test]
    fn whatever_comes_back_is_a_reply_or_refused(answer in "[\\[\\]{}\",:a-z0-9 ]{0,40}") {
        for generation in [Generation::One, Generation::Two, Generation::Three] {
            drop(read(NEWER, generation, &answer));
        }
    }
}
