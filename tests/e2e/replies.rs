//! How replies are read: by their looks, bare, framed, as envelopes; and protocol 1 by hand.

use std::time::Duration;

use crate::harness::{Answer, Field, Plain, json};

fn one_actor(rest: &str) -> Field {
    Field::new(&format!(
        "actors: {{ a: {{ handler: {{ socket: a.sock }}{rest} }}, b: {{ handler: {{ socket: b.sock }} }} }}"
    ))
}

fn answers(field: &Field, texts: &'static [&'static str]) -> [Plain; 2] {
    let answering = Plain::at(&field.path("a.sock"), move |request| {
        Answer::text(texts[request.number - 1])
    });
    [answering, Plain::echo(&field.path("b.sock"))]
}

#[test]
fn a_bare_reply_is_always_the_result_itself() {
    let field = one_actor(", reply: bare");
    let _handlers = answers(
        &field,
        &[r#"{"status":"error","error":"x","message":"data that looks like an error"}"#],
    );
    field.load(&["a"], 1);
    let run = field.run();
    assert_eq!(field.wait_for("happy-end", 1)[0]["payload"]["status"], "error");
    assert!(run.stop().success());
}

#[test]
fn by_its_looks_an_object_without_a_status_is_the_result_itself() {
    let field = one_actor("");
    let _handlers = answers(&field, &[r#"{"status":"shipped","n":1}"#, r#"{"error":"only a word"}"#]);
    field.load(&["a"], 2);
    let run = field.run();
    let out = field.wait_for("happy-end", 2);
    assert_eq!(out[0]["payload"], json!({"status": "shipped", "n": 1}));
    assert_eq!(out[1]["payload"], json!({"error": "only a word"}));
    assert!(run.stop().success());
}

#[test]
fn a_framed_reply_needs_its_status() {
    let field = one_actor(", reply: framed");
    let _handlers = answers(&field, &[r#"{"n":1}"#, r#"{"status":"ok","result":{"n":2}}"#]);
    field.load(&["a"], 2);
    let run = field.run();
    assert_eq!(field.wait_for_error()["code"], "bad_reply");
    assert_eq!(field.wait_for("happy-end", 1)[0]["payload"], json!({"n": 2}));
    assert!(run.stop().success());
}

#[test]
fn a_reply_that_is_an_envelope_may_change_headers_and_the_rest_of_the_route() {
    let field = one_actor(", reply: envelope");
    let _handlers = answers(
        &field,
        &[
            r#"{"payload":{"n":1.0},"route":{"actors":["a","b"],"current":0},"headers":{"h":"new"}}"#,
            r#"{"payload":2}"#,
            r#"{"payload":3,"route":{"actors":["z","b"],"current":0}}"#,
            "7",
        ],
    );
    field.load(&["a"], 4);
    let run = field.run();
    let out = field.wait_for("happy-end", 2);
    let first = out.iter().find(|it| it["id"] == "m1").expect("the first came out");
    assert_eq!(first["headers"]["h"], "new");
    assert_eq!(
        first["route"],
        json!({"actors": ["a", "b"], "current": 2}),
        "it went through b too"
    );
    assert_eq!(first["payload"], json!({"n": 1.0}));
    for message in field.wait_for("error-end", 2) {
        assert_eq!(message["error"]["code"], "bad_reply", "{message}");
    }
    assert!(run.stop().success());
}

#[test]
fn in_protocol_one_a_reply_without_a_status_is_a_bad_one() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    let answers = [
        r#"{"n":1}"#,
        "7",
        r#"{"error":"x","message":"short form"}"#,
        r#"{"status":"ok","result":4}"#,
    ];
    let _handler = Plain::protocol_one(&field.path("a.sock"), move |request| {
        Answer::text(answers[request.number - 1])
    });
    field.load(&["a"], 4);
    let run = field.run();
    assert_eq!(field.wait_for("happy-end", 1)[0]["payload"], 4);
    for message in field.wait_for("error-end", 3) {
        assert_eq!(message["error"]["code"], "bad_reply", "{message}");
    }
    assert!(run.stop().success());
}

#[test]
fn interim_frames_come_before_the_final_one_and_hold_off_the_idle_timeout_alone() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, idle_timeout: 600ms, timeout: 2s } }");
    let frame = |text: &str| {
        let length = u32::try_from(text.len()).expect("a short text");
        [&length.to_be_bytes(), text.as_bytes()].concat()
    };
    let _handler = Plain::protocol_one(&field.path("a.sock"), move |request| {
        let all = [
            r#"{"status":"heartbeat"}"#,
            r#"{"status":"progress","percent":3}"#,
            r#"{"status":"ok","result":"end"}"#,
        ];
        match request.number {
            1 => Answer::Slowly(all.map(frame).to_vec(), Duration::from_millis(300)),
            _ => Answer::Slowly(vec![frame(r#"{"status":"heartbeat"}"#); 60], Duration::from_millis(100)),
        }
    });
    field.load(&["a"], 2);
    let run = field.run();
    let out = field.wait_for("happy-end", 1);
    assert_eq!((&out[0]["id"], &out[0]["payload"]), (&json!("m1"), &json!("end")));
    let error = field.wait_for_error();
    assert_eq!(error["code"], "timeout", "heartbeats never hold off the timeout itself");
    assert!(run.stop().success());
}
