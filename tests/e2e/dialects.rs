//! The older generation of envelopes, answered in kind.

use crate::harness::{Answer, Field, Plain, Value, json};

#[test]
fn an_envelope_of_the_older_dialect_is_answered_in_kind_in_every_output() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } }, b: { handler: { socket: b.sock } } }");
    let _first = Plain::at(&field.path("a.sock"), |_| Answer::text("[1, 2, 3]"));
    let _second = Plain::at(&field.path("b.sock"), |request| match &*request.body {
        b"3" => Answer::text(r#"{"status":"error","message":"three"}"#),
        _ => Answer::Frame(request.body.clone()),
    });
    let envelope = r#"{"job_id":"order-42","route":{"steps":["a","b"],"current":0},"payload":0}"#;
    field.put("a", &[envelope.to_owned()]);
    let run = field.run();
    field.wait_for("happy-end", 2);
    assert_eq!(
        field.texts("happy-end"),
        [
            r#"{"job_id":"order-42","route":{"steps":["a","b"],"current":2},"payload":1}"#.to_owned(),
            r#"{"job_id":"aae1ccb4-fc35-50e6-a69e-c8847925a21c","route":{"steps":["a","b"],"current":2},"payload":2,"parent_id":"order-42"}"#.to_owned(),
        ]
    );
    let failed = field.wait_for("error-end", 1).remove(0);
    assert_eq!(
        (failed.get("id"), &failed["route"]),
        (None, &json!({"steps": ["a", "b"], "current": 1}))
    );
    assert!(failed["job_id"].is_string());
    assert!(run.stop().success());
}

#[test]
fn where_both_spellings_stand_the_newer_one_wins_and_both_are_carried() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    let _handler = Plain::echo(&field.path("a.sock"));
    let envelope = r#"{"job_id":"old","id":"new","route":{"steps":["z"],"actors":["a"],"current":0},"payload":0}"#;
    field.put("a", &[envelope.to_owned()]);
    let run = field.run();
    let out: Value = serde_json::from_str(&field.wait_for_text("happy-end")).expect("JSON");
    assert_eq!((&out["id"], &out["route"]["actors"]), (&json!("new"), &json!(["a"])));
    assert_eq!((&out["job_id"], &out["route"]["steps"]), (&json!("old"), &json!(["z"])));
    assert!(run.stop().success());
}
