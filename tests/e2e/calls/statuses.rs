//! Every status that is not 200, and what comes with it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::{ONE, Reply, ask, invoke, post, reply, with_handler};
use crate::harness::{Answer, Field, Said, Value, Web, json};

const GOOD: &str = r#"{"records":[]}"#;

/// The paths and messages of what is wrong with arguments.
fn errors(reply: &Reply) -> Vec<(String, String)> {
    assert_eq!(reply.status, 400, "{reply:?}");
    let value = reply.json();
    assert_eq!(
        (&value["success"], &value["code"]),
        (&json!(false), &json!("bad_arguments"))
    );
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let all = value["errors"].as_array().expect("a list").iter();
    let mut all: Vec<_> = all
        .map(|error| (text(&error["path"]), text(&error["message"])))
        .collect();
    all.sort();
    all
}

#[test]
fn arguments_that_do_not_fit_are_told_each_by_its_path() {
    let (_field, handler, sidecar) = with_handler(ONE, |_| Answer::text("1"));
    let bad = r#"{"records":[{"id":"a"},{"id":7},{}],"extra":1}"#;
    let paths = |reply: &Reply| errors(reply).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let by_invoke = post(&sidecar, "/invoke", &invoke("processData", &format!("[{bad}]")));
    assert_eq!(
        paths(&by_invoke),
        ["args[0].extra", "args[0].records[1].id", "args[0].records[2].id"]
    );
    let by_path = post(&sidecar, "/process-data", bad);
    assert_eq!(paths(&by_path), ["extra", "records[1].id", "records[2].id"]);
    assert_eq!(paths(&post(&sidecar, "/process-data", "7")), [""]);
    assert_eq!(paths(&post(&sidecar, "/process-data", "{}")), ["records"]);
    assert_eq!(
        paths(&post(&sidecar, "/invoke", &invoke("processData", "[7]"))),
        ["args[0]"]
    );
    assert_eq!(
        paths(&post(&sidecar, "/invoke", &invoke("processData", "[]"))),
        ["args[0]"]
    );
    let many = post(&sidecar, "/invoke", &invoke("processData", &format!("[{GOOD},1,2]")));
    assert_eq!(paths(&many), ["args[1]", "args[2]"]);
    assert_eq!(handler.requests(), [""; 0], "it was not called");
}

#[test]
fn what_is_no_call_is_a_bad_request() {
    let (_field, _handler, sidecar) = with_handler(ONE, |_| Answer::text("1"));
    for body in [
        "",
        "{",
        "[]",
        "7",
        "{}",
        r#"{"function":"processData"}"#,
        r#"{"function":1,"args":[]}"#,
        r#"{"function":"processData","args":{}}"#,
    ] {
        let reply = post(&sidecar, "/invoke", body);
        assert_eq!(
            (reply.status, &reply.json()["code"]),
            (400, &json!("bad_request")),
            "{body}"
        );
    }
    for body in ["", "{", "nope", "1 2"] {
        let reply = post(&sidecar, "/process-data", body);
        assert_eq!(
            (reply.status, &reply.json()["code"]),
            (400, &json!("bad_request")),
            "{body}"
        );
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let (_field, _handler, sidecar) = with_handler(ONE, |_| Answer::text("1"));
    for reply in [
        post(&sidecar, "/nothing", "1"),
        ask(&sidecar, "GET", "/", &[], ""),
        post(&sidecar, "/main/process-data", GOOD),
        post(&sidecar, "/invoke", &invoke("nothing", "[]")),
        post(
            &sidecar,
            "/invoke",
            r#"{"package":"nowhere","function":"processData","args":[]}"#,
        ),
    ] {
        let value = reply.json();
        assert_eq!(
            (reply.status, &value["success"], &value["code"]),
            (404, &json!(false), &json!("not_found"))
        );
        assert!(value["error"].as_str().is_some_and(|error| !error.is_empty()));
        assert_eq!(reply.header("x-forst-contract-version"), Some("2"));
    }
}

#[test]
fn a_method_that_a_path_does_not_have_is_told_those_that_it_has() {
    let (_field, _handler, sidecar) = with_handler(ONE, |_| Answer::text("1"));
    for (method, path, allow) in [
        ("POST", "/health", "GET, HEAD"),
        ("DELETE", "/version", "GET, HEAD"),
        ("POST", "/functions", "GET, HEAD"),
        ("PUT", "/types", "GET, HEAD"),
        ("GET", "/invoke", "POST"),
        ("GET", "/process-data", "POST"),
        ("OPTIONS", "/process-data", "POST"),
    ] {
        let reply = ask(&sidecar, method, path, &[], "");
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, Some(allow)),
            "{method} {path}"
        );
        assert_eq!(reply.json()["code"], "method_not_allowed");
    }
}

#[test]
fn a_body_over_the_limit_is_too_large() {
    let (_field, handler, sidecar) = with_handler(&(ONE.to_owned() + "  body_limit: 100\n"), |_| Answer::text("1"));
    let large = format!("{{\"records\":[]{}}}", " ".repeat(100));
    for path in ["/process-data", "/invoke"] {
        let reply = post(&sidecar, path, &large);
        assert_eq!((reply.status, &reply.json()["code"]), (413, &json!("too_large")));
    }
    let chunked = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let mut stream = super::begin(&sidecar, "POST", "/process-data", &["Transfer-Encoding: chunked"], "");
    std::io::Write::write_all(&mut stream, chunked.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut bytes).unwrap();
    assert_eq!(super::reply(&bytes).status, 413);
    assert_eq!(handler.requests(), [""; 0]);
}

#[test]
fn a_body_that_is_not_json_by_its_own_word_is_not_taken() {
    let (_field, _handler, sidecar) = with_handler(ONE, |_| Answer::text("1"));
    let call = |header: &str| ask(&sidecar, "POST", "/process-data", &[header], GOOD).status;
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        assert_eq!(call(&format!("Content-Type: {media}")), 415, "{media}");
    }
    for media in [
        "application/json; charset=utf-8",
        "application/vnd.x+json",
        "Application/JSON",
    ] {
        assert_eq!(call(&format!("Content-Type: {media}")), 200, "{media}");
    }
    assert_eq!(call("X-Other: 1"), 200);
}

#[test]
fn a_domain_error_is_an_answer_of_invoke_and_422_elsewhere() {
    let (_field, _handler, sidecar) = with_handler(ONE, |_| {
        Answer::text(r#"{"status":"error","error":"too_far","type":"TooFar","message":"no way","details":{"km":9}}"#)
    });
    let value = json!({"tag": "main/TooFar", "payload": {"km": 9}, "message": "no way"});
    let reply = post(&sidecar, "/invoke", &invoke("processData", &format!("[{GOOD}]")));
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.json(),
        json!({"success": false, "error": "no way", "errorValue": value, "code": "too_far"})
    );
    let reply = post(&sidecar, "/process-data", GOOD);
    assert_eq!((reply.status, &reply.json()["errorValue"]), (422, &value));
}

#[test]
fn statuses_of_http_handlers_are_read() {
    let web = Web::on_port(|asked| match asked.text() {
        "{\"records\":[1]}" => Said::json(404, r#"{"error":"missing","message":"no such thing"}"#),
        "{\"records\":[2]}" => Said::json(500, "{}"),
        "{\"records\":[3]}" => Said::with(204, &[], ""),
        "{\"records\":[4]}" => Said::json(302, "{}"),
        _ => Said::json(409, r#"{"type":"Conflict","error":"x","message":"taken"}"#),
    });
    let config = format!(
        "calls:\n  listen: [ \"http://127.0.0.1:0\" ]\n  functions:\n    - {{ name: f, package: p, handler: {{ http: \"{}\" }}, args: [ {{ name: x }} ] }}\n",
        web.address()
    );
    let field = Field::new(&config);
    let sidecar = field.run();
    let call = |number: u32| post(&sidecar, "/f", &format!("{{\"records\":[{number}]}}"));
    let missing = call(1);
    assert_eq!(missing.status, 422);
    assert_eq!(missing.json()["errorValue"]["tag"], "p/missing");
    assert_eq!(call(2).status, 500);
    assert_eq!((call(3).status, call(3).body.as_str()), (200, "null\n"));
    assert_eq!((call(4).status, &call(4).json()["code"]), (502, &json!("bad_reply")));
    assert_eq!(call(5).json()["errorValue"]["tag"], "p/Conflict");
    let asked = &web.asked()[0];
    assert_eq!(asked.header("x-outrigger-function"), Some("p/f"));
    assert!(asked.header("traceparent").is_some() && asked.header("x-outrigger-id").is_some());
}

#[test]
fn a_handler_that_fails_is_500_and_so_is_a_broken_contract() {
    let config = ONE.to_owned() + "      result: { type: integer }\n";
    let (_field, _handler, sidecar) = with_handler(&config, |request| {
        Answer::text([r#"{"status":"error","message":"out of memory"}"#, "\"text\"", "7"][request.number - 1])
    });
    let failed = post(&sidecar, "/process-data", GOOD);
    assert_eq!(
        (failed.status, &failed.json()["error"], &failed.json()["code"]),
        (500, &json!("out of memory"), &json!("internal"))
    );
    let broken = post(&sidecar, "/process-data", GOOD);
    assert_eq!((broken.status, &broken.json()["code"]), (500, &json!("internal")));
    assert!(!broken.body.contains("text"), "{broken:?}");
    assert_eq!(post(&sidecar, "/process-data", GOOD).body, "7\n");
}

#[test]
fn an_answer_that_is_none_is_502_and_a_lost_handler_503() {
    let (field, handler, sidecar) = with_handler(ONE, |request| match request.number {
        1 => Answer::text("{nope"),
        2 => Answer::text(""),
        _ => Answer::Close,
    });
    for _ in 0..2 {
        let reply = post(&sidecar, "/process-data", GOOD);
        assert_eq!((reply.status, &reply.json()["code"]), (502, &json!("bad_reply")));
    }
    let lost = post(&sidecar, "/process-data", GOOD);
    assert_eq!(
        (lost.status, &lost.json()["code"]),
        (503, &json!("handler_unavailable"))
    );
    assert_eq!(lost.header("retry-after"), Some("1"));
    drop(handler);
    let gone = post(&sidecar, "/process-data", GOOD);
    assert_eq!((gone.status, gone.header("retry-after")), (503, Some("1")));
    // It is found again as soon as it is there.
    let _handler = crate::harness::Plain::echo(&field.path("f.sock"));
    assert_eq!(post(&sidecar, "/process-data", GOOD).status, 200);
}

#[test]
fn a_handler_that_does_not_answer_in_time_is_504() {
    let (_field, handler, sidecar) = with_handler(&ONE.replace("20s", "300ms"), |_| Answer::Silence);
    let begun = Instant::now();
    let reply = post(&sidecar, "/process-data", GOOD);
    assert_eq!((reply.status, &reply.json()["code"]), (504, &json!("timeout")));
    assert!(begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < Duration::from_secs(10));
    handler.wait_for(1);
}

/// Refused by its head: an unknown path, a media type that is not taken, a body that is too long.
const EARLY: [(&str, &str, u16); 3] = [
    ("/nowhere", "application/json", 404),
    ("/process-data", "text/csv", 415),
    ("/process-data", "application/json", 413),
];

#[test]
fn who_is_still_sending_reads_why_it_was_refused() {
    let (_field, _handler, sidecar) = with_handler(ONE, |_| Answer::text("1"));
    let body = "x".repeat(12 << 20);
    for (path, media, status) in EARLY {
        for _ in 0..5 {
            let mut stream = TcpStream::connect(sidecar.calls()).expect("it listens");
            let length = body.len();
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).expect("it takes the head");
            // All of it, before the first look at an answer.
            stream.write_all(body.as_bytes()).expect("it takes the body");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer and an end");
            let answer = reply(answer.as_bytes());
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
            assert_eq!(answer.header("x-forst-contract-version"), Some("2"), "{answer:?}");
        }
    }
}

#[test]
fn a_small_body_that_nobody_wanted_does_not_cost_the_connection() {
    let (_field, _handler, sidecar) = with_handler(ONE, |_| Answer::text("1"));
    let stream = TcpStream::connect(sidecar.calls()).expect("it listens");
    let mut reader = BufReader::new(&stream);
    for (path, media, status) in &EARLY[..2] {
        for _ in 0..2 {
            let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {media}\r\nContent-Length: 5\r\n\r\n");
            (&stream).write_all(head.as_bytes()).expect("it takes the head");
            // The body comes after the answer.
            let answer = one_reply(&mut reader);
            assert_eq!(
                (answer.status, answer.header("connection")),
                (*status, None),
                "{answer:?}"
            );
            (&stream).write_all(b"hello").expect("it takes the body");
        }
    }
    let good = format!(
        "POST /process-data HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{GOOD}",
        GOOD.len()
    );
    (&stream).write_all(good.as_bytes()).expect("it takes it");
    assert_eq!(one_reply(&mut reader).status, 200);
}

/// One answer whose length is said.
#[track_caller]
fn one_reply(reader: &mut impl BufRead) -> Reply {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(
            reader.read_line(&mut head).expect("it can be read"),
            0,
            "ended after {head:?}"
        );
    }
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.expect("a length")];
    reader.read_exact(&mut body).expect("a body");
    reply(&[head.into_bytes(), body].concat())
}

#[test]
fn what_is_no_object_is_no_call() {
    let (_field, handler, sidecar) = with_handler(ONE, |_| Answer::text("1"));
    for body in [r#"["main","processData",[{"records":[]}],false]"#, "[]", "7", " \"x\""] {
        let answer = post(&sidecar, "/invoke", body);
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("bad_request")));
        assert_eq!(
            answer.json()["error"],
            "the body is no `{function, args}`: it is no object"
        );
    }
    assert_eq!(handler.requests().len(), 0);
}

#[test]
fn nothing_after_a_body_that_is_none_is_taken_for_a_request() {
    let (_field, handler, sidecar) = with_handler(ONE, |_| Answer::text("1"));
    let hidden = format!(
        "POST /process-data HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{GOOD}",
        GOOD.len()
    );
    for body in ["no length\r\n", "0\r\nno field\r\n\r\n", "0\r\nA: b\0\r\n\r\n"] {
        let mut stream = TcpStream::connect(sidecar.calls()).expect("it listens");
        let all = format!("POST /process-data HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}{hidden}");
        stream.write_all(all.as_bytes()).expect("it takes it");
        let mut answers = String::new();
        stream.read_to_string(&mut answers).expect("an answer and an end");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
        let answer = reply(answers.as_bytes());
        assert_eq!(
            (answer.status, answer.header("connection")),
            (400, Some("close")),
            "{answer:?}"
        );
    }
    assert_eq!(handler.requests().len(), 0);
}
