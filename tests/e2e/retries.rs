//! Errors that may be tried again: who decides, how often, how long after.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::harness::{Answer, Field, Plain, json};

/// A handler that fails with `error` until the attempt after `failures`; notes when it was called.
fn failing(field: &Field, error: &'static str, failures: usize) -> (Plain, Arc<Mutex<Vec<Instant>>>) {
    let times: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = Arc::clone(&times);
    let handler = Plain::at(&field.path("a.sock"), move |request| {
        noted.lock().expect("no call panics").push(Instant::now());
        match request.number {
            number if number > failures => Answer::text("\"at last\""),
            _ => Answer::text(error),
        }
    });
    (handler, times)
}

fn gaps(times: &Mutex<Vec<Instant>>) -> Vec<Duration> {
    times
        .lock()
        .expect("no call panics")
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect()
}

fn one_actor(rest: &str) -> Field {
    Field::new(&format!("actors: {{ a: {{ handler: {{ socket: a.sock }}{rest} }} }}"))
}

const PLAIN_ERROR: &str = r#"{"status":"error","error":"busy","message":"not now"}"#;
const RETRYABLE: &str = r#"{"status":"error","error":"busy","message":"not now","retryable":true}"#;
const FINAL: &str = r#"{"status":"error","error":"broken","message":"never","retryable":false}"#;

#[test]
fn an_error_that_says_so_is_tried_again_after_a_second_where_nothing_is_configured() {
    let field = one_actor("");
    let (_handler, times) = failing(&field, RETRYABLE, 1);
    field.load(&["a"], 1);
    let run = field.run();
    assert_eq!(field.wait_for("happy-end", 1)[0]["payload"], "at last");
    let gaps = gaps(&times);
    assert!(
        gaps.len() == 1 && (Duration::from_millis(500)..Duration::from_secs(4)).contains(&gaps[0]),
        "{gaps:?}"
    );
    assert!(run.stop().success());
}

#[test]
fn with_a_retry_policy_every_error_is_tried_again_until_attempts_run_out_and_keeps_its_code() {
    let field = one_actor(", retry: { attempts: 3, backoff: 200ms, max_backoff: 10s }");
    let (handler, times) = failing(&field, PLAIN_ERROR, 99);
    field.load(&["a"], 1);
    let run = field.run();
    let error = field.wait_for_error();
    assert_eq!(
        (&error["code"], &error["message"], &error["attempt"]),
        (&json!("busy"), &json!("not now"), &json!(3))
    );
    assert_eq!(handler.requests().len(), 3);
    let gaps = gaps(&times);
    assert!(
        gaps[0] >= Duration::from_millis(100) && gaps[1] >= Duration::from_millis(200),
        "{gaps:?}"
    );
    let text = field.texts("error-end").remove(0);
    assert!(
        !text.contains("\"attempt\":3,\"route\""),
        "attempt is the record's, not the envelope's: {text}"
    );
    assert_eq!(field.messages("error-end")[0].get("attempt"), None);
    assert!(run.stop().success());
}

#[test]
fn an_error_that_refuses_is_not_tried_again_whatever_the_policy() {
    let field = one_actor(", retry: { attempts: 5, backoff: 10ms }");
    let (handler, _) = failing(&field, FINAL, 99);
    field.load(&["a"], 1);
    let run = field.run();
    let error = field.wait_for_error();
    assert_eq!((&error["code"], &error["attempt"]), (&json!("broken"), &json!(1)));
    assert_eq!(handler.requests().len(), 1);
    assert!(run.stop().success());
}

#[test]
fn a_handlers_own_delay_raises_the_backoff() {
    let field = one_actor(", retry: { attempts: 2, backoff: 1ms, max_backoff: 2ms }");
    let error = r#"{"status":"error","error":"busy","message":"wait","retryable":true,"retry_after":1.2}"#;
    let (_handler, times) = failing(&field, error, 1);
    field.load(&["a"], 1);
    let run = field.run();
    field.wait_for("happy-end", 1);
    let gaps = gaps(&times);
    assert!(
        (Duration::from_millis(1150)..Duration::from_secs(6)).contains(&gaps[0]),
        "{gaps:?}"
    );
    assert!(run.stop().success());
}

#[test]
fn a_message_that_waits_for_its_next_attempt_holds_up_no_other() {
    let field = one_actor(", retry: { attempts: 2, backoff: 20s, max_backoff: 20s }");
    let _handler = Plain::at(&field.path("a.sock"), |request| match request.number {
        1 => Answer::text(PLAIN_ERROR),
        _ => Answer::Frame(request.body.clone()),
    });
    field.load(&["a"], 5);
    let began = Instant::now();
    let run = field.run();
    let out = field.wait_for("happy-end", 4);
    assert_eq!(
        out.iter().map(|it| it["id"].as_str()).collect::<Vec<_>>(),
        ["m2", "m3", "m4", "m5"].map(Some)
    );
    assert!(began.elapsed() < Duration::from_secs(9));
    assert!(run.stop().success());
}

#[test]
fn the_envelope_that_a_handler_sees_tells_its_attempt() {
    let field = one_actor(", input: envelope, retry: { attempts: 3, backoff: 1ms, max_backoff: 2ms }");
    let (handler, _) = failing(&field, PLAIN_ERROR, 2);
    field.load(&["a"], 1);
    let run = field.run();
    let out = field.wait_for("happy-end", 1);
    assert_eq!(out[0].get("attempt"), None, "attempt is dropped from outputs");
    let attempts: Vec<_> = handler
        .requests()
        .iter()
        .map(|request| {
            serde_json::from_str::<crate::harness::Value>(request)
                .expect("JSON")
                .get("attempt")
                .cloned()
        })
        .collect();
    assert_eq!(attempts, [None, Some(json!(2)), Some(json!(3))]);
    assert!(run.stop().success());
}

#[test]
fn the_attempt_survives_a_sidecar_that_is_killed_while_a_message_waits() {
    let field = one_actor(", retry: { attempts: 2, backoff: 1s, max_backoff: 1s }");
    let (handler, _) = failing(&field, PLAIN_ERROR, 99);
    field.load(&["a"], 1);
    let run = field.run();
    handler.wait_for(1);
    crate::harness::wait_until("it is put back", || {
        (run.said().contains("ready") && field.in_flight("a") == 0 && field.depth("a") == 0).then_some(())
    });
    run.kill();
    let run = field.run();
    assert_eq!(field.wait_for_error()["attempt"], 2);
    assert_eq!(handler.requests().len(), 2);
    assert!(run.stop().success());
}
