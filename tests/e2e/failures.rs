//! Handlers that fail, and replies that are none.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::harness::{Answer, Field, Plain, Value, json};

fn one_actor(rest: &str) -> Field {
    Field::new(&format!("actors: {{ a: {{ handler: {{ socket: a.sock }}{rest} }} }}"))
}

#[test]
fn an_error_is_terminal_by_default_and_the_original_goes_to_error_end_with_its_record() {
    let field = one_actor("");
    let handler = Plain::at(&field.path("a.sock"), |_| {
        Answer::text(
            r#"{"status":"error","error":"no_image","message":"nothing to see","type":"ValueError","traceback":"here","details":{"x":1.0}}"#,
        )
    });
    let envelope = r#"{"id":"bad","zz": [1.0],"route":{"actors":["a","later"],"current":0},"payload":{"n": 1.0}}"#;
    field.ok(&["send", "later", "--create", "--id", "other", "--payload", "0"]);
    field.put("a", &[envelope.to_owned()]);
    let run = field.run();
    field.wait_for("error-end", 1);
    let text = field.texts("error-end").remove(0);
    let original = envelope.strip_suffix('}').expect("an object");
    assert!(
        text.starts_with(original),
        "every byte of the original is there: {text}"
    );
    let mut error = serde_json::from_str::<Value>(&text).expect("JSON")["error"].take();
    let at: Timestamp = error["at"]
        .take()
        .as_str()
        .and_then(|at| at.parse().ok())
        .expect("a time");
    assert!(
        Timestamp::now().duration_since(at).abs() < jiff::SignedDuration::from_mins(2),
        "{at}"
    );
    assert_eq!(
        error,
        json!({"code": "no_image", "message": "nothing to see", "type": "ValueError", "traceback": "here",
            "details": {"x": 1.0}, "actor": "a", "attempt": 1, "at": null})
    );
    assert_eq!(handler.requests().len(), 1);
    assert!(run.stop().success());
}

#[test]
fn errors_in_their_short_forms_get_a_code_and_a_message() {
    let answers = [
        (
            r#"{"error":"oops","message":"the short form"}"#,
            "oops",
            "the short form",
        ),
        (r#"{"status":"error","message":"no code"}"#, "handler_error", "no code"),
        (r#"{"status":"error","error":"code_alone"}"#, "code_alone", "code_alone"),
    ];
    let field = one_actor("");
    let _handler = Plain::at(&field.path("a.sock"), move |request| {
        Answer::text(answers[request.number - 1].0)
    });
    field.load(&["a"], answers.len());
    let run = field.run();
    for (message, (_, code, text)) in field.wait_for("error-end", answers.len()).iter().zip(answers) {
        assert_eq!(
            (&message["error"]["code"], &message["error"]["message"]),
            (&json!(code), &json!(text))
        );
    }
    assert!(run.stop().success());
}

#[test]
fn no_reply_within_the_timeout_is_terminal_and_the_next_message_comes_through() {
    let field = one_actor(", timeout: 300ms, retry: { attempts: 5, backoff: 10ms }");
    let handler = Plain::at(&field.path("a.sock"), |request| match request.number {
        1 => Answer::Silence,
        _ => Answer::Frame(request.body.clone()),
    });
    field.load(&["a"], 2);
    let began = Instant::now();
    let run = field.run();
    let error = field.wait_for_error();
    assert_eq!((&error["code"], &error["attempt"]), (&json!("timeout"), &json!(1)));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(field.messages("error-end")[0]["id"], "m1");
    assert_eq!(field.wait_for("happy-end", 1)[0]["id"], "m2");
    assert_eq!(handler.requests().len(), 2, "a timeout is not tried again");
    assert!(run.stop().success());
}

#[test]
fn silence_longer_than_the_idle_timeout_is_a_timeout_too() {
    let field = one_actor(", idle_timeout: 200ms, timeout: 1m");
    let _handler = Plain::at(&field.path("a.sock"), |_| Answer::Silence);
    field.load(&["a"], 1);
    let run = field.run();
    assert_eq!(field.wait_for_error()["code"], "timeout");
    assert!(run.stop().success());
}

#[test]
fn every_kind_of_bad_reply_ends_at_error_end_and_costs_its_message_alone() {
    let answer = |number| match number {
        1 => Answer::Frame(Vec::new()),
        2 => Answer::text("not json"),
        3 => Answer::text(r#"{"cut": "#),
        4 => Answer::Raw(vec![0, 0, 0, 9, b'{']),
        5 => Answer::Raw(vec![0, 0]),
        6 => Answer::Frame(vec![b'"', 0xff, b'"']),
        7 => Answer::Raw([&[0x80, 0, 0, 2][..], b"{}"].concat()),
        _ => Answer::text("1"),
    };
    let field = one_actor("");
    let _handler = Plain::at(&field.path("a.sock"), move |request| answer(request.number));
    field.load(&["a"], 8);
    let run = field.run();
    assert_eq!(field.wait_for("happy-end", 1)[0]["id"], "m8");
    let errors = field.wait_for("error-end", 7);
    for (n, message) in (1..).zip(&errors) {
        assert_eq!(message["id"], format!("m{n}"));
        assert_eq!(message["error"]["code"], "bad_reply", "{message}");
    }
    assert!(run.stop().success());
}

#[test]
fn a_frame_over_the_cap_is_refused_in_both_directions() {
    let field = one_actor(", max_frame: 1KB");
    let handler = Plain::at(&field.path("a.sock"), |request| match request.number {
        1 => Answer::text(format!("\"{}\"", "x".repeat(2000))),
        _ => Answer::text("1"),
    });
    let large = format!("\"{}\"", "y".repeat(2000));
    field.send("a", "m1", "1");
    field.send("a", "m2", &large);
    field.send("a", "m3", "3");
    let run = field.run();
    assert_eq!(field.wait_for("happy-end", 1)[0]["id"], "m3");
    let errors = field.wait_for("error-end", 2);
    for message in &errors {
        assert_eq!(message["error"]["code"], "frame_too_large", "{message}");
    }
    assert_eq!(handler.requests(), ["1", "3"], "what is too large is never written");
    assert!(run.stop().success());
}
