//! What an envelope must do, case by case.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
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

#[test]
fn every_field_is_read() {
    let message = envelope(FULL);
    assert_eq!(message.id(), "m-1");
    assert_eq!(message.parent_id().as_deref(), Some("p"));
    assert_eq!(message.actors(), ["a", "b", "c"]);
    assert_eq!(
        (message.current(), message.here(), message.next_actor()),
        (1, Some("b"), Some("c"))
    );
    assert_eq!(message.header("job").as_deref(), Some("j"));
    assert_eq!((message.header("n"), message.header("none")), (None, None));
    assert_eq!(message.payload().as_str(), r#"{ "x" : 1.10 }"#);
    assert_eq!(message.deadline(), Some(at("2026-01-01T00:00:00Z")));
    assert_eq!(message.attempt(), 2);
    assert_eq!(message.error().unwrap().code, "x");
    assert_eq!(message.body(), FULL);
    assert!(
        FULL.as_bytes().len() == message.body().len() && message.payload().bytes().as_ptr() > message.body().as_ptr()
    );
}

#[test]
fn an_output_differs_only_in_what_a_step_changes() {
    assert_eq!(
        envelope(FULL).advance(0, &part("[]")),
        r#" {"mine":[1.0,2], "id":"m-1","parent_id":"p" , "route" : { "actors":["a","b","c"], "metadata":{"x": 1e2},
 "current":2 }, "headers":{"job":"j","n":1,"traceparent":"00-1"},"payload":[],
 "deadline":"2026-01-01T01:00:00+01:00","last":"\u00e4" } "#
    );
}

#[test]
fn a_child_has_its_own_id_and_says_where_it_is_from() {
    let message = envelope(r#"{"id":"order-42","route":{"actors":["a","b"],"current":0},"payload":1}"#);
    let child = message.advance(1, &part("2"));
    assert_eq!(
        child,
        r#"{"id":"aae1ccb4-fc35-50e6-a69e-c8847925a21c","route":{"actors":["a","b"],"current":1},"payload":2,"parent_id":"order-42"}"#
    );
    let grandchild = value(&Envelope::decode(child).unwrap().advance(2, &part("3")));
    assert_eq!(grandchild["id"], "642a4bc0-bfec-532d-8d0d-30922494a4a9");
    assert_eq!(grandchild["parent_id"], "aae1ccb4-fc35-50e6-a69e-c8847925a21c");
}

#[test]
fn the_first_output_of_a_child_keeps_its_parent() {
    let message = envelope(r#"{"id":"c","parent_id":"p","route":{"actors":["a"],"current":0},"payload":1}"#);
    let output = value(&message.advance(0, &part("2")));
    assert_eq!((&output["id"], &output["parent_id"]), (&json!("c"), &json!("p")));
}

#[test]
fn the_older_dialect_is_answered_in_kind() {
    let message = envelope(r#"{"job_id":"order-42","route":{"steps":["a","b"],"current":0},"payload":1}"#);
    assert_eq!((message.id(), message.here()), ("order-42", Some("a")));
    assert_eq!(
        message.advance(1, &part("2")),
        r#"{"job_id":"aae1ccb4-fc35-50e6-a69e-c8847925a21c","route":{"steps":["a","b"],"current":1},"payload":2,"parent_id":"order-42"}"#
    );
    let failed = value(&message.failed(&record()));
    assert_eq!(
        (&failed["job_id"], &failed["route"]["steps"]),
        (&json!("order-42"), &json!(["a", "b"]))
    );
    assert_eq!(failed.get("id"), None);
}

#[test]
fn where_both_spellings_stand_the_newer_one_wins_and_children_carry_both() {
    let text = r#"{"job_id":"old","id":"order-42","route":{"steps":["x"],"actors":["a","b"],"current":0},"payload":1}"#;
    let message = envelope(text);
    assert_eq!((message.id(), message.here()), ("order-42", Some("a")));
    let child = value(&message.advance(1, &part("2")));
    assert_eq!(
        (&child["id"], &child["job_id"]),
        (&json!(message.child_id(1)), &json!(message.child_id(1)))
    );
    assert_eq!(value(&message.advance(0, &part("2")))["job_id"], "old");
}

#[test]
fn a_spelling_that_is_null_counts_as_absent() {
    let message = envelope(r#"{"id":null,"job_id":"j","route":{"actors":null,"steps":["a"],"current":0},"payload":1}"#);
    assert_eq!((message.id(), message.here()), ("j", Some("a")));
}

#[test]
fn what_is_no_envelope_says_why_and_keeps_its_id() {
    let cases = [
        (r#"{"route":{"actors":["a"],"current":0},"payload":1}"#, Flaw::Id, None),
        (
            r#"{"id":7,"route":{"actors":["a"],"current":0},"payload":1}"#,
            Flaw::Id,
            None,
        ),
        (
            r#"{"id":7,"job_id":"j","route":{"actors":["a"],"current":0},"payload":1}"#,
            Flaw::Id,
            Some("j"),
        ),
        (
            r#"{"id":"a\u0000b","route":{"actors":["a"],"current":0},"payload":1}"#,
            Flaw::Id,
            None,
        ),
        (
            r#"{"id":"\ud800","route":{"actors":["a"],"current":0},"payload":1}"#,
            Flaw::Id,
            None,
        ),
        (r#"{"id":"m","payload":1}"#, Flaw::Route, Some("m")),
        (r#"{"id":"m","route":null,"payload":1}"#, Flaw::Route, Some("m")),
        (r#"{"id":"m","route":["a"],"payload":1}"#, Flaw::Route, Some("m")),
        (
            r#"{"id":"m","route":{"current":0},"payload":1}"#,
            Flaw::Actors,
            Some("m"),
        ),
        (
            r#"{"id":"m","route":{"actors":"a","current":0},"payload":1}"#,
            Flaw::Actors,
            Some("m"),
        ),
        (
            r#"{"id":"m","route":{"actors":["a",1],"current":0},"payload":1}"#,
            Flaw::Actors,
            Some("m"),
        ),
        (
            r#"{"id":"m","route":{"actors":["a"]},"payload":1}"#,
            Flaw::Current,
            Some("m"),
        ),
        (
            r#"{"id":"m","route":{"actors":["a"],"current":"0"},"payload":1}"#,
            Flaw::Current,
            Some("m"),
        ),
        (
            r#"{"id":"m","route":{"actors":["a"],"current":0.5},"payload":1}"#,
            Flaw::Current,
            Some("m"),
        ),
        (
            r#"{"id":"m","route":{"actors":["a"],"current":0}}"#,
            Flaw::Payload,
            Some("m"),
        ),
        ("[1]", Flaw::NotAnObject, None),
        ("null", Flaw::NotAnObject, None),
    ];
    for (text, why, id) in cases {
        let invalid = flaw(text);
        assert_eq!((invalid.why, invalid.id.as_deref()), (why, id), "{text}");
        assert_eq!(invalid.raw, text);
    }
}

#[test]
fn what_is_not_json_is_no_envelope() {
    let good = r#"{"id":"m","route":{"actors":["a"],"current":0},"payload":1}"#;
    let texts = [
        "",
        " ",
        "{",
        &good[..good.len() - 1],
        &format!("\u{feff}{good}"),
        &format!("{good}\0"),
        &good.repeat(2),
    ];
    for text in texts {
        assert!(matches!(flaw(text).why, Flaw::NotJson { .. }), "{text:?}");
    }
    let mut bytes = good.as_bytes().to_vec();
    bytes[7] = 0xff;
    let invalid = Envelope::decode(bytes.into()).unwrap_err();
    assert!(
        matches!(&invalid.why, Flaw::NotJson { reason } if reason.contains("UTF-8")),
        "{invalid}"
    );
}

#[test]
fn an_id_of_256_bytes_is_one_and_of_257_is_none() {
    let of = |len: usize| {
        format!(
            r#"{{"id":"{}","route":{{"actors":[],"current":0}},"payload":null}}"#,
            "x".repeat(len)
        )
    };
    assert_eq!(envelope(&of(256)).id().len(), 256);
    assert_eq!(flaw(&of(257)).why, Flaw::Id);
}

#[test]
fn current_is_an_integer_as_json_schema_has_it() {
    for (text, current) in [
        ("1.0", 1),
        ("1e0", 1),
        ("-1", -1),
        ("-0", 0),
        ("99999999999999999999", i64::MAX),
        ("1e400", i64::MAX),
    ] {
        let message = envelope(&format!(
            r#"{{"id":"m","route":{{"actors":["a","b","c"],"current":{text}}},"payload":1}}"#
        ));
        assert_eq!(message.current(), current, "{text}");
        assert_eq!(
            message.here(),
            if current == 1 {
                Some("b")
            } else if current == 0 {
                Some("a")
            } else {
                None
            }
        );
        let output = Envelope::decode(message.advance(0, &part("2"))).unwrap();
        assert_eq!(output.current(), current.saturating_add(1));
    }
}

#[test]
fn optional_fields_of_another_type_count_as_absent_and_are_carried_on() {
    let text = r#"{"id":"m","route":{"actors":["a"],"current":0},"payload":null,"headers":[1],"deadline":"soon","parent_id":{},"attempt":"x","error":null}"#;
    let message = envelope(text);
    assert!(message.headers().is_none() && message.header("a").is_none() && message.parent_id().is_none());
    assert!(message.deadline().is_none() && message.error().is_none() && message.attempt() == 1);
    assert!(message.payload().is_null());
    let output = value(&message.advance(0, &part("2")));
    assert_eq!(
        (&output["headers"], &output["deadline"], &output["parent_id"]),
        (&json!([1]), &json!("soon"), &json!({}))
    );
}

#[test]
fn an_attempt_is_at_least_1_and_at_most_what_fits() {
    for (text, attempt) in [
        ("1", 1),
        ("0", 1),
        ("-3", 1),
        ("null", 1),
        ("7.0", 7),
        ("1e30", u32::MAX),
    ] {
        let text = format!(r#"{{"id":"m","route":{{"actors":[],"current":0}},"payload":1,"attempt":{text}}}"#);
        assert_eq!(envelope(&text).attempt(), attempt, "{text}");
    }
}

#[test]
fn of_names_that_stand_twice_the_last_counts_and_what_is_set_stands_once() {
    let text = r#"{"attempt":1,"id":"one","id":"two","payload":1,"route":{"current":5,"actors":["a","b"],"current":0},"payload":2,"attempt":2,"x":0}"#;
    let message = envelope(text);
    assert_eq!(
        (message.id(), message.payload().as_str(), message.current()),
        ("two", "2", 0)
    );
    assert_eq!(
        message.advance(0, &part("3")),
        r#"{"id":"one","id":"two","route":{"actors":["a","b"],"current":1},"payload":3,"x":0}"#
    );
}

#[test]
fn escaped_names_are_the_names_that_they_spell() {
    let message = envelope(r#"{"\u0069d":"m","route":{"actors":["a"],"curren\u0074":0},"payloa\u0064":1,"\ud800":2}"#);
    assert_eq!(message.id(), "m");
    assert_eq!(
        message.advance(0, &part("3")),
        r#"{"\u0069d":"m","route":{"actors":["a"],"curren\u0074":1},"payloa\u0064":3,"\ud800":2}"#
    );
}

#[test]
fn a_payload_of_any_depth_and_with_lone_surrogates_is_carried() {
    let deep = "[".repeat(100_000) + r#""\ud800""# + &"]".repeat(100_000);
    let message = envelope(&format!(
        r#"{{"id":"m","payload":{deep},"route":{{"actors":["a"],"current":0}},"y":{deep}}}"#
    ));
    assert_eq!(message.payload().as_str(), deep);
    let output = message.advance(0, &part(&deep));
    assert_eq!(Envelope::decode(output).unwrap().payload().as_str(), deep);
}

#[test]
fn an_end_keeps_the_original() {
    let text = r#"{"attempt":2,"id":"m" ,"route":{"actors":["a"],"current":0}, "payload": 1.0 ,"error":{}}"#;
    let message = envelope(text);
    let plain = r#"{"id":"m" ,"route":{"actors":["a"],"current":0}, "payload": 1.0}"#;
    assert_eq!(message.finished(), plain);
    assert_eq!(envelope(plain).finished(), plain);
    assert_eq!(
        envelope(plain).failed(&record()),
        r#"{"id":"m" ,"route":{"actors":["a"],"current":0}, "payload": 1.0,"error":{"code":"timeout","message":"no reply within 5 m","actor":"a","attempt":3,"at":"2026-03-04T05:06:07.5Z"}}"#
    );
    assert_eq!(
        Envelope::decode(message.failed(&record())).unwrap().error(),
        Some(record())
    );
}

#[test]
fn a_handler_is_shown_its_attempt() {
    let text = r#"{"id":"m","route":{"actors":["a"],"current":0},"payload":1}"#;
    assert_eq!(envelope(text).with_attempt(1), text);
    let second = envelope(text).with_attempt(2);
    assert_eq!(
        second,
        r#"{"id":"m","route":{"actors":["a"],"current":0},"payload":1,"attempt":2}"#
    );
    assert_eq!(
        Envelope::decode(Envelope::decode(second).unwrap().with_attempt(1))
            .unwrap()
            .attempt(),
        1
    );
}

#[test]
fn a_route_of_the_handlers_own_may_only_change_what_is_to_come() {
    let message = envelope(r#"{"id":"m","route":{"actors":["a","b","c"],"current":1},"payload":1}"#);
    let next = |text: &str| message.next_on(&Json::parse(text.to_owned().into()).unwrap());
    assert_eq!(next(r#"{"actors":["a","b","x"],"current":1}"#), Ok(Some("x".into())));
    assert_eq!(next(r#"{"actors":["a","b","x"],"current":2}"#), Ok(Some("x".into())));
    assert_eq!(next(r#"{"steps":["a","b"]}"#), Ok(None));
    assert_eq!(next(r#"{"actors":["x","b","c"],"current":1}"#), Err(RouteRefused::Past));
    assert_eq!(next(r#"{"actors":["a"],"current":1}"#), Err(RouteRefused::Past));
    let third = RouteRefused::Current { given: 3, current: 1 };
    assert_eq!(next(r#"{"actors":["a","b","c"],"current":3}"#), Err(third));
    assert_eq!(next(r#"["a","b"]"#), Err(RouteRefused::Invalid { why: Flaw::Route }));
}

#[test]
fn an_output_takes_the_route_and_headers_of_its_part_in_the_dialect_of_the_message() {
    let message = envelope(r#"{"id":"m","route":{"steps":["a"],"current":0},"headers":{"x":"1"},"payload":1}"#);
    let json = |text: &str| Some(Json::parse(text.to_owned().into()).unwrap());
    let given = Part {
        route: json(r#"{"actors":["a", "z"],"mine":1}"#),
        headers: json(r#"{"y":"2"}"#),
        ..part("3")
    };
    assert_eq!(
        message.advance(0, &given),
        r#"{"id":"m","route":{"steps":["a", "z"],"mine":1,"current":1},"headers":{"y":"2"},"payload":3}"#
    );
    let refused = Part {
        route: json(r#"{"actors":["b"]}"#),
        headers: json("null"),
        ..part("3")
    };
    assert_eq!(
        message.advance(0, &refused),
        r#"{"id":"m","route":{"steps":["a"],"current":1},"headers":{"x":"1"},"payload":3}"#
    );
}

#[test]
fn headers_are_set_one_by_one() {
    let set = [("traceparent", "00-2"), ("tracestate", "a=\"b\"")];
    let message = envelope(FULL);
    assert_eq!(
        message.headers_with(&set).as_str(),
        r#"{"job":"j","n":1,"traceparent":"00-2","tracestate":"a=\"b\""}"#
    );
    let bare = envelope(r#"{"id":"m","route":{"actors":[],"current":0},"payload":1}"#);
    assert_eq!(bare.headers_with(&set[..1]).as_str(), r#"{"traceparent":"00-2"}"#);
}

#[test]
fn a_draft_becomes_an_envelope() {
    let mut draft = Draft::new(["a", "b"], Json::parse("{ \"x\": 1.0 }".into()).unwrap());
    let fresh = Envelope::decode(Envelope::compose(draft.clone())).unwrap();
    assert_eq!(fresh.id().len(), 36);
    draft.id = Some("m".into());
    draft.headers = Some(Json::from_value(&json!({"k": "v"})));
    draft.deadline = Some(at("2026-01-01T00:00:00Z"));
    assert_eq!(
        Envelope::compose(draft),
        r#"{"id":"m","route":{"actors":["a","b"],"current":0},"headers":{"k":"v"},"payload":{ "x": 1.0 },"deadline":"2026-01-01T00:00:00Z"}"#
    );
}

#[test]
fn what_is_buried_keeps_its_bytes_and_has_no_route() {
    let why = ErrorRecord {
        details: Some(Json::from_value(&[1])),
        ..record()
    };
    let body = buried(&flaw(r#"{"id":"m"}"#), &why);
    assert_eq!(
        body,
        r#"{"id":"m","payload":null,"error":{"code":"timeout","message":"no reply within 5 m","details":[1],"actor":"a","attempt":3,"at":"2026-03-04T05:06:07.5Z","raw":"{\"id\":\"m\"}"}}"#
    );
    let grave = Envelope::decode_at_end(body).unwrap();
    assert_eq!((grave.error(), grave.here(), grave.current()), (Some(why), None, 0));
    assert!(matches!(
        grave.replay(at("2026-01-01T00:00:00Z")),
        Err(ReplayError::NoRoute { .. })
    ));

    let invalid = Envelope::decode(Bytes::from_static(b"\xff\0")).unwrap_err();
    let body = value(&buried(&invalid, &record()));
    assert_eq!(body["error"]["raw_base64"], "/wA=");
    assert_eq!(body["error"].get("raw"), None);
    assert_eq!(body["id"].as_str().unwrap().len(), 36);
}

#[test]
fn a_replay_goes_back_to_its_actor_with_a_clean_slate() {
    let replay = envelope(FULL).replay(at("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(replay.actor, "b");
    let body = value(&replay.body);
    assert!(
        ["error", "attempt", "deadline"]
            .iter()
            .all(|field| body.get(field).is_none()),
        "{body}"
    );
    let early = value(&envelope(FULL).replay(at("2025-12-31T23:59:59Z")).unwrap().body);
    assert_eq!(early["deadline"], "2026-01-01T01:00:00+01:00");
}

#[test]
fn a_replay_without_a_place_to_go_is_refused() {
    let replay =
        |route: &str| envelope(&format!(r#"{{"id":"m","route":{route},"payload":1}}"#)).replay(Timestamp::UNIX_EPOCH);
    let outside = |current| {
        Err(ReplayError::Outside {
            id: "m".into(),
            current,
        })
    };
    assert_eq!(replay(r#"{"actors":["a"],"current":1}"#), outside(1));
    assert_eq!(replay(r#"{"actors":[],"current":0}"#), outside(0));
    let actor = "no queue".to_owned();
    assert_eq!(
        replay(r#"{"actors":["no queue"],"current":0}"#),
        Err(ReplayError::NoActor { id: "m".into(), actor })
    );
}
