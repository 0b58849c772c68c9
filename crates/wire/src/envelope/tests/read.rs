//! What is read of an envelope, what is none, and new ones.

use bytes::Bytes;
use serde_json::json;

use super::given::{FULL, at, envelope, flaw, part, record, value};
use crate::envelope::{Draft, Envelope, Flaw, ReplayError, buried};
use crate::{ErrorRecord, Json};

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
        message
            .body()
            .as_ptr_range()
            .contains(&message.payload().bytes().as_ptr())
    );
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
