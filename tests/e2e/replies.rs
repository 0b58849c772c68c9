//! How replies are read: by their looks, bare, framed, as envelopes; and protocol 1 by hand.

use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    path::Path,
    thread,
};

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
    assert_eq!(first["headers"], json!({"h": "new"}));
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

/// A handler that speaks protocol 1 by hand: hello, and every frame as given, after the `meta` and request frames.
fn protocol_one(path: &Path, replies: &'static [&'static str]) {
    let listener = UnixListener::bind(path).expect("a socket");
    thread::spawn(move || {
        let mut replies = replies.iter();
        while let Ok((mut stream, _)) = listener.accept() {
            let send = |stream: &mut dyn Write, flag: u32, text: &str| {
                let length = u32::try_from(text.len()).expect("a short text") | flag;
                stream
                    .write_all(&length.to_be_bytes())
                    .and_then(|()| stream.write_all(text.as_bytes()))
            };
            if send(
                &mut stream,
                1 << 31,
                r#"{"hello":{"protocol":1,"functions":[{"name":"f"}]}}"#,
            )
            .is_err()
            {
                continue;
            }
            loop {
                let mut head = [0; 4];
                if stream.read_exact(&mut head).is_err() {
                    break;
                }
                let word = u32::from_be_bytes(head);
                let mut body = vec![0; (word & 0x7fff_ffff) as usize];
                if stream.read_exact(&mut body).is_err() {
                    break;
                }
                let text = String::from_utf8(body).expect("text");
                if word >> 31 == 0 {
                    let Some(reply) = replies.next() else { return };
                    if send(&mut stream, 0, reply).is_err() {
                        break;
                    }
                } else if let Some(number) = text.strip_prefix(r#"{"ping":"#) {
                    if send(&mut stream, 1 << 31, &format!(r#"{{"pong":{number}"#)).is_err() {
                        break;
                    }
                }
            }
        }
    });
}

#[test]
fn in_protocol_one_a_reply_without_a_status_is_a_bad_one() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    protocol_one(
        &field.path("a.sock"),
        &[
            r#"{"n":1}"#,
            "7",
            r#"{"error":"x","message":"short form"}"#,
            r#"{"status":"ok","result":4}"#,
        ],
    );
    field.load(&["a"], 4);
    let run = field.run();
    assert_eq!(field.wait_for("happy-end", 1)[0]["payload"], 4);
    for message in field.wait_for("error-end", 3) {
        assert_eq!(message["error"]["code"], "bad_reply", "{message}");
    }
    assert!(run.stop().success());
}
