//! Deadlines: before the call, during it, and on the way.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::harness::{Answer, Field, Plain, json};

#[test]
fn past_its_deadline_a_message_is_not_called_any_more() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    let handler = Plain::echo(&field.path("a.sock"));
    let envelope =
        r#"{"id":"late","deadline":"2001-01-01T00:00:00Z","route":{"actors":["a"],"current":0},"payload":1}"#;
    field.put("a", &[envelope.to_owned()]);
    let run = field.run();
    let error = field.wait_for_error();
    assert_eq!(
        (&error["code"], &error["actor"]),
        (&json!("deadline_exceeded"), &json!("a"))
    );
    assert_eq!(handler.requests(), Vec::<String>::new());
    assert!(run.stop().success());
}

#[test]
fn a_deadline_that_passes_during_the_call_ends_it_before_the_timeout() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, timeout: 1m } }");
    let handler = Plain::at(&field.path("a.sock"), |_| Answer::Silence);
    let run = field.run();
    let deadline = Timestamp::now() + SignedDuration::from_millis(1500);
    let envelope =
        format!(r#"{{"id":"slow","deadline":"{deadline}","route":{{"actors":["a"],"current":0}},"payload":1}}"#);
    let began = Instant::now();
    field.put("a", &[envelope]);
    assert_eq!(field.wait_for_error()["code"], "deadline_exceeded");
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(handler.requests().len(), 1);
    assert!(run.stop().success());
}

#[test]
fn a_redrive_drops_an_expired_deadline_and_the_error() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    let handler = Plain::echo(&field.path("a.sock"));
    let envelope =
        r#"{"id":"late","deadline":"2001-01-01T00:00:00Z","route":{"actors":["a"],"current":0},"payload":1}"#;
    field.put("a", &[envelope.to_owned()]);
    let run = field.run();
    field.wait_for_error();
    field.ok(&["dead", "redrive", "late"]);
    let out = field.wait_for("happy-end", 1);
    assert_eq!((out[0].get("deadline"), out[0].get("error")), (None, None));
    assert_eq!(field.depth("error-end"), 0);
    assert_eq!(handler.requests(), ["1"]);
    assert!(run.stop().success());
}
