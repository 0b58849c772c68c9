//! Messages that are none, messages that came to the wrong actor, and queues that are not there.

use crate::harness::{Field, Plain, Value, json};

fn one_actor() -> (Field, Plain) {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    let handler = Plain::echo(&field.path("a.sock"));
    // Makes the queue that the bytes are put on.
    field.send("a", "first", "0");
    (field, handler)
}

/// What becomes of these bytes at actor `a`.
#[track_caller]
fn buried(bytes: &[u8]) -> Value {
    let (field, handler) = one_actor();
    field.put_bytes("a", bytes);
    let run = field.run();
    let message = field.wait_for("error-end", 1).remove(0);
    field.wait_for("happy-end", 1);
    assert_eq!(
        handler.requests(),
        ["0"],
        "the handler is never called for what is no message"
    );
    assert!(run.stop().success());
    message
}

#[test]
fn bytes_that_are_no_json_are_kept_at_error_end_with_a_new_id_and_without_a_route() {
    let message = buried(b"{\"id\":\"x\", broken");
    let id = message["id"].as_str().expect("an id");
    assert_eq!(uuid::Uuid::parse_str(id).expect("a UUID").get_version_num(), 7);
    assert_eq!((message.get("route"), &message["payload"]), (None, &Value::Null));
    let error = &message["error"];
    assert_eq!(
        (&error["code"], &error["actor"]),
        (&json!("invalid_envelope"), &json!("a"))
    );
    assert_eq!(error["raw"], "{\"id\":\"x\", broken");
    assert_eq!(error.get("raw_base64"), None);
    assert!(!error["message"].as_str().expect("a message").is_empty());
}

#[test]
fn bytes_that_are_no_text_are_kept_as_base64() {
    let message = buried(b"\xff\x00\xfe");
    assert_eq!(message["error"]["raw_base64"], "/wD+");
    assert_eq!(message["error"].get("raw"), None);
}

#[test]
fn an_envelope_with_a_valid_id_keeps_it_when_something_else_is_wrong() {
    for (bytes, what) in [
        (r#"{"id":"known","payload":1}"#, "no route"),
        (r#"{"id":"known","route":{"actors":["a"],"current":0}}"#, "no payload"),
        (r#"{"id":"known","route":[],"payload":1}"#, "a route of a wrong type"),
        (
            r#"{"id":"known","route":{"actors":["a"],"current":"0"},"payload":1}"#,
            "a current of a wrong type",
        ),
    ] {
        let message = buried(bytes.as_bytes());
        assert_eq!(message["id"], "known", "{what}");
        assert_eq!(message["error"]["code"], "invalid_envelope", "{what}");
        assert_eq!(message["error"]["raw"], bytes, "{what}");
    }
}

#[test]
fn an_id_that_is_not_valid_is_replaced() {
    for bytes in [
        r#"{"id":"","route":{"actors":["a"],"current":0},"payload":1}"#,
        r#"{"id":"a\nb","route":{"actors":["a"],"current":0},"payload":1}"#,
        r#"{"id":7,"route":{"actors":["a"],"current":0},"payload":1}"#,
        r#"{"route":{"actors":["a"],"current":0},"payload":1}"#,
    ] {
        let message = buried(bytes.as_bytes());
        assert_eq!(message["error"]["code"], "invalid_envelope", "{bytes}");
        assert!(
            uuid::Uuid::parse_str(message["id"].as_str().expect("an id")).is_ok(),
            "{message}"
        );
    }
}

#[test]
fn a_message_that_is_not_at_its_actor_is_a_route_mismatch() {
    let (field, handler) = one_actor();
    let envelope = |id: &str, route: &str| format!(r#"{{"id":"{id}","route":{route},"payload":1}}"#);
    let wrong = [
        envelope("empty", r#"{"actors":[],"current":0}"#),
        envelope("past", r#"{"actors":["a"],"current":1}"#),
        envelope("before", r#"{"actors":["a"],"current":-1}"#),
        envelope("other", r#"{"actors":["b","a"],"current":0}"#),
    ];
    for envelope in &wrong {
        field.put_bytes("a", envelope.as_bytes());
    }
    let run = field.run();
    field.wait_for("error-end", wrong.len());
    for (text, envelope) in field.texts("error-end").iter().zip(&wrong) {
        let original = envelope.strip_suffix('}').expect("an object");
        assert!(text.starts_with(original), "the original is unchanged: {text}");
        let message: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(message["error"]["code"], "route_mismatch", "{text}");
    }
    field.wait_for("happy-end", 1);
    assert_eq!(handler.requests(), ["0"]);
    assert!(run.stop().success());
}

#[test]
fn a_next_queue_that_does_not_exist_is_found_before_the_handler_is_called() {
    let (field, handler) = one_actor();
    field.send("a,nobody", "lost", "1");
    let run = field.run();
    let error = field.wait_for_error();
    assert_eq!(error["code"], "no_queue");
    assert!(
        error["message"].as_str().expect("a message").contains("nobody"),
        "{error}"
    );
    field.wait_for("happy-end", 1);
    assert_eq!(handler.requests(), ["0"], "the handler is not called");
    assert!(run.stop().success());
}
