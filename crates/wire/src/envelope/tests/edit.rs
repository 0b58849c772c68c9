//! What becomes of an envelope.

use jiff::Timestamp;
use serde_json::json;

use super::given::{FULL, at, envelope, part, record, value};
use crate::envelope::{Envelope, Flaw, ReplayError, RouteRefused};
use crate::{Json, Part};

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
fn an_output_takes_the_route_of_its_part_in_the_messages_dialect_and_its_headers_over_the_messages() {
    let message = envelope(r#"{"id":"m","route":{"steps":["a"],"current":0},"headers":{"x":"1"},"payload":1}"#);
    let json = |text: &str| Some(Json::parse(text.to_owned().into()).unwrap());
    let given = Part {
        route: json(r#"{"actors":["a", "z"],"mine":1}"#),
        headers: json(r#"{"y":"2"}"#),
        ..part("3")
    };
    assert_eq!(
        message.advance(0, &given),
        r#"{"id":"m","route":{"steps":["a", "z"],"mine":1,"current":1},"headers":{"x":"1","y":"2"},"payload":3}"#
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
