//! The ends of all routes: trimmed, discarded, renamed, or worked on.

use crate::harness::{Answer, Field, Plain, json, wait_until};

#[test]
fn an_actor_on_happy_end_takes_everything_and_sends_nothing_on() {
    let field = Field::new(
        "actors: { a: { handler: { socket: a.sock } }, happy-end: { handler: { socket: end.sock }, input: envelope } }",
    );
    let _handler = Plain::echo(&field.path("a.sock"));
    let end = Plain::at(&field.path("end.sock"), |_| Answer::text("[1, 2]"));
    field.load(&["a"], 2);
    let run = field.run();
    end.wait_for(2);
    wait_until("happy-end is empty", || {
        (field.depth("happy-end") + field.in_flight("happy-end") == 0).then_some(())
    });
    let request: serde_json::Value = serde_json::from_str(&end.requests()[0]).expect("JSON");
    assert_eq!(
        request["route"],
        json!({"actors": ["a"], "current": 1}),
        "ends check no route"
    );
    assert_eq!((field.depth("a"), field.depth("error-end")), (0, 0));
    assert!(run.stop().success());
}

#[test]
fn a_failure_at_an_end_is_tried_again_and_never_forwarded() {
    let field = Field::new(
        "actors: { error-end: { handler: { socket: end.sock }, retry: { attempts: 2, backoff: 10ms, max_backoff: 20ms } } }",
    );
    let end = Plain::at(&field.path("end.sock"), |request| match request.number {
        1..=5 => Answer::text(r#"{"status":"error","error":"full","message":"no"}"#),
        _ => Answer::text("null"),
    });
    field.put(
        "error-end",
        &[r#"{"id":"d","route":{"actors":["x"],"current":0},"payload":1,"error":{"code":"c"}}"#.to_owned()],
    );
    let run = field.run();
    end.wait_for(6);
    wait_until("error-end is empty", || {
        (field.depth("error-end") + field.in_flight("error-end") == 0).then_some(())
    });
    assert_eq!(field.depth("happy-end"), 0);
    assert!(run.stop().success());
}

#[test]
fn a_discarded_end_keeps_nothing() {
    let field = Field::new("ends: { happy: { discard: true } }\nactors: { a: { handler: { socket: a.sock } } }");
    let handler = Plain::at(&field.path("a.sock"), |request| match request.number {
        2 => Answer::text(r#"{"status":"error","message":"no"}"#),
        _ => Answer::text("1"),
    });
    field.load(&["a"], 3);
    let run = field.run();
    handler.wait_for(3);
    field.wait_for("error-end", 1);
    wait_until("the queue is empty", || {
        (field.depth("a") + field.in_flight("a") == 0).then_some(())
    });
    assert_eq!(field.depth("happy-end"), 0);
    assert!(run.stop().success());
}

#[test]
fn ends_may_have_other_names_and_all_queues_a_prefix() {
    let field = Field::new(
        "prefix: \"shop-\"\nends: { happy: { name: out }, error: { name: failed } }\nactors: { a: { handler: { socket: a.sock } } }",
    );
    let _handler = Plain::at(&field.path("a.sock"), |request| match request.number {
        2 => Answer::text(r#"{"status":"error","message":"no"}"#),
        _ => Answer::text("1"),
    });
    field.load(&["a"], 2);
    let run = field.run();
    field.wait_for("shop-out", 1);
    assert_eq!(field.wait_for("shop-failed", 1)[0]["error"]["actor"], "a");
    assert!(run.stop().success());
}

#[test]
fn the_happy_end_is_trimmed_to_its_number_oldest_first() {
    let field = Field::new("ends: { happy: { max: 3 } }\nactors: { a: { handler: { socket: a.sock } } }");
    let handler = Plain::echo(&field.path("a.sock"));
    field.load(&["a"], 10);
    let run = field.run();
    handler.wait_for(10);
    wait_until("happy-end is trimmed", || {
        let ids: Vec<_> = field.messages("happy-end").iter().map(|it| it["id"].clone()).collect();
        (ids == [json!("m8"), json!("m9"), json!("m10")]).then_some(())
    });
    assert!(run.stop().success());
}
