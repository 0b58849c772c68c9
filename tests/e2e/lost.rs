//! Connections that end: what is counted, what is tried again, and after how long.

use std::time::{Duration, Instant};

use crate::harness::{Answer, Field, Plain, json, wait_until};

#[test]
fn a_connection_lost_after_the_request_is_tried_again_after_a_second_and_counted() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, max_deliveries: 2 } }");
    let handler = Plain::at(&field.path("a.sock"), |_| Answer::Close);
    field.load(&["a"], 1);
    let began = Instant::now();
    let run = field.run();
    let error = field.wait_for_error();
    assert_eq!(error["code"], "attempts_exhausted");
    assert_eq!(handler.requests().len(), 2, "called as often as `max_deliveries` says");
    assert!(
        began.elapsed() >= Duration::from_millis(900),
        "the first wait is a second"
    );
    assert!(run.stop().success());
}

#[test]
fn a_close_before_any_reply_on_a_reused_connection_is_tried_once_more_at_once_and_not_counted() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, max_deliveries: 1 } }");
    // The second request comes on the connection of the first.
    let handler = Plain::at(&field.path("a.sock"), |request| match request.number {
        2 => Answer::Close,
        _ => Answer::Frame(request.body.clone()),
    });
    field.load(&["a"], 2);
    let run = field.run();
    field.wait_for("happy-end", 2);
    assert_eq!(handler.requests(), [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":2}"#]);
    assert_eq!(field.depth("error-end"), 0);
    assert!(run.stop().success());
}

#[test]
fn a_plain_handler_may_close_after_each_reply() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, max_deliveries: 1 } }");
    let handler = Plain::at(&field.path("a.sock"), |request| {
        let mut frame = u32::try_from(request.body.len())
            .expect("a short body")
            .to_be_bytes()
            .to_vec();
        frame.extend(&request.body);
        Answer::Raw(frame)
    });
    field.load(&["a"], 30);
    let run = field.run();
    field.wait_for("happy-end", 30);
    assert_eq!(handler.requests().len(), 30, "each was called once");
    assert!(run.stop().success());
}

#[test]
fn a_handler_that_is_not_there_takes_nothing_and_costs_nothing() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, max_deliveries: 1 } }");
    field.load(&["a"], 3);
    let run = field.start(&["run"], &[]);
    wait_until("it serves", || (run.get("/healthz").0 == 200).then_some(()));
    assert_eq!(run.get("/readyz").0, 503, "red while no handler lives");
    assert_eq!((field.depth("a"), field.depth("error-end")), (3, 0), "the queue waits");
    let handler = Plain::echo(&field.path("a.sock"));
    run.ready();
    field.wait_for("happy-end", 3);
    assert_eq!((handler.requests().len(), field.depth("error-end")), (3, 0));
    assert!(run.stop().success());
}

#[test]
fn readiness_goes_red_with_the_last_handler_and_green_with_the_next() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    let dying = Plain::at(&field.path("a.sock"), |_| Answer::Close);
    let run = field.run();
    field.load(&["a"], 1);
    dying.wait_for(1);
    drop(dying);
    wait_until("/readyz is red", || (run.get("/readyz").0 == 503).then_some(()));
    let (status, health) = run.get("/health");
    let health: crate::harness::Value = serde_json::from_str(&health).expect("JSON");
    assert_eq!((status, &health["status"]), (200, &json!("degraded")), "{health}");
    let _handler = Plain::echo(&field.path("a.sock"));
    run.ready();
    field.wait_for("happy-end", 1);
    assert!(run.stop().success());
}
