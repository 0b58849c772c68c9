//! Results in pieces, and bodies that stream through.

use std::{
    io::{BufRead, BufReader, Read, Write},
    time::Duration,
};

use super::{ONE, ask, begin, post, reply, with_handler};
use crate::harness::{Answer, Field, Said, Web, json};

const CALL: &str = r#"{"function":"processData","args":[{"records":[]}],"streaming":true}"#;

fn frame(text: &str) -> Vec<u8> {
    [
        &u32::try_from(text.len()).expect("short").to_be_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

fn pieces() -> Vec<Vec<u8>> {
    [
        r#"{"status":"partial","data":{ "n": 1 }}"#,
        r#"{"status":"progress","percent":50}"#,
        r#"{"status":"partial","data":"two"}"#,
        r#"{"status":"ok","result":[3]}"#,
    ]
    .map(frame)
    .to_vec()
}

#[test]
fn pieces_are_lines_and_each_comes_when_it_is_there() {
    let (_field, _handler, sidecar) = with_handler(ONE, |_| Answer::Slowly(pieces(), Duration::from_millis(200)));
    let mut stream = BufReader::new(begin(&sidecar, "POST", "/invoke", &[], CALL));
    let mut lines = Vec::new();
    let begun = std::time::Instant::now();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap() == 0 {
            break;
        }
        lines.push((line, begun.elapsed()));
    }
    let at = |text: &str| {
        lines
            .iter()
            .find(|(line, _)| line.contains(text))
            .unwrap_or_else(|| panic!("{lines:?}"))
            .1
    };
    let between = at("\"ok\"").saturating_sub(at("{\"n\":1}"));
    assert!(between > Duration::from_millis(300), "{lines:?}");
    let head = lines[0].0.as_str();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let reply = ask(&sidecar, "POST", "/invoke", &[], CALL);
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(
        reply.body,
        "{\"data\":{\"n\":1},\"status\":\"partial\"}\n{\"data\":\"two\",\"status\":\"partial\"}\n{\"data\":[3],\"status\":\"ok\"}\n"
    );
}

#[test]
fn pieces_are_events_for_those_who_want_events() {
    let (_field, _handler, sidecar) = with_handler(ONE, |_| Answer::Slowly(pieces(), Duration::from_millis(5)));
    let reply = ask(&sidecar, "POST", "/invoke", &["Accept: text/event-stream"], CALL);
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(
        reply.body,
        "data: {\"data\":{\"n\":1},\"status\":\"partial\"}\n\ndata: {\"data\":\"two\",\"status\":\"partial\"}\n\ndata: {\"data\":[3],\"status\":\"ok\"}\n\n"
    );
}

#[test]
fn a_function_without_pieces_gives_the_last_line_alone() {
    let (_field, _handler, sidecar) = with_handler(ONE, |request| match request.number {
        1 => Answer::text("7"),
        2 => Answer::text(r#"{"status":"error","type":"No","message":"no way"}"#),
        3 => Answer::Raw([frame(r#"{"status":"partial","data":1}"#), vec![0, 0]].concat()),
        _ => Answer::Close,
    });
    assert_eq!(post(&sidecar, "/invoke", CALL).body, "{\"data\":7,\"status\":\"ok\"}\n");
    let refused = post(&sidecar, "/invoke", CALL);
    assert_eq!(
        (refused.status, &refused.json()["status"], &refused.json()["error"]),
        (200, &json!("error"), &json!("no way"))
    );
    // What has begun goes on as 200, and its last line says how it ended.
    let broken = post(&sidecar, "/invoke", CALL);
    let last = broken.body.lines().last().unwrap();
    assert!(
        broken.status == 200 && broken.body.starts_with("{\"data\":1,") && last.contains("\"status\":\"error\""),
        "{broken:?}"
    );
    // What has not has a status of its own.
    assert_eq!(post(&sidecar, "/invoke", CALL).status, 503);
    let bad = post(&sidecar, "/invoke", &CALL.replace("\"records\":[]", ""));
    assert_eq!(
        (bad.status, &bad.json()["errors"][0]["path"]),
        (400, &json!("args[0].records"))
    );
}

#[test]
fn a_caller_that_leaves_ends_the_exchange() {
    let web = Web::on_port(|_| Said::Silence);
    let config = format!(
        "calls:\n  listen: [ \"http://127.0.0.1:0\" ]\n  functions: [ {{ name: f, handler: {{ http: \"{}\" }} }} ]\n",
        web.address()
    );
    let field = Field::new(&config);
    let sidecar = field.run();
    let stream = begin(&sidecar, "POST", "/f", &[], "1");
    web.wait_for(1);
    drop(stream);
    web.wait_for_the_end();
    crate::harness::wait_until("it is counted", || {
        let sample = r#"sidecar_calls_total{package="main",function="f",way="http",outcome="canceled"}"#;
        (sidecar.metric(sample) == 1).then_some(())
    });
}

#[test]
fn a_body_streams_through_to_an_http_handler() {
    let web = Web::on_port(|asked| Said::json(200, &format!("[{}]", asked.body.len())));
    let config = format!(
        "calls:\n  listen: [ \"http://127.0.0.1:0\" ]\n  body_limit: 1KiB\n  functions: [ {{ name: upload, handler: {{ http: \"{}\" }}, input: stream }} ]\n",
        web.address()
    );
    let field = Field::new(&config);
    let sidecar = field.run();
    // Of any size and kind: over the limit, and no JSON.
    let body = "x".repeat(300_000);
    let reply = ask(&sidecar, "POST", "/upload", &["Content-Type: text/csv"], &body);
    assert_eq!((reply.status, reply.body.as_str()), (200, "[300000]\n"));
    let asked = &web.asked()[0];
    assert_eq!(asked.header("content-type"), Some("text/csv"));
    assert_eq!(
        (asked.header("content-length"), asked.header("x-outrigger-function")),
        (Some("300000"), Some("main/upload"))
    );
    let by_invoke = post(&sidecar, "/invoke", r#"{"function":"upload","args":[]}"#);
    assert_eq!(
        (by_invoke.status, &by_invoke.json()["code"]),
        (400, &json!("bad_request"))
    );
}

#[test]
fn a_body_is_on_its_way_while_more_of_it_comes() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "calls:\n  listen: [ \"http://127.0.0.1:0\" ]\n  functions: [ {{ name: upload, handler: {{ http: \"http://{}\" }}, input: stream }} ]\n",
        listener.local_addr().unwrap()
    );
    let field = Field::new(&config);
    let sidecar = field.run();
    let mut caller = begin(&sidecar, "POST", "/upload", &["Transfer-Encoding: chunked"], "");
    caller.write_all(b"5\r\nfirst\r\n").unwrap();
    let (mut handler, _) = listener.accept().unwrap();
    let mut seen = Vec::new();
    while !seen.windows(5).any(|window| window == b"first") {
        let mut piece = [0; 1024];
        let count = handler.read(&mut piece).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..count]);
    }
    caller.write_all(b"4\r\nlast\r\n0\r\n\r\n").unwrap();
    while !seen.ends_with(b"0\r\n\r\n") {
        let mut piece = [0; 1024];
        let count = handler.read(&mut piece).unwrap();
        seen.extend_from_slice(&piece[..count]);
    }
    handler
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")
        .unwrap();
    let mut bytes = Vec::new();
    caller.read_to_end(&mut bytes).unwrap();
    assert_eq!(reply(&bytes).body, "1\n");
}

#[test]
fn a_stream_that_its_caller_breaks_off_is_not_the_handlers_fault() {
    let web = Web::on_port(|asked| Said::json(200, &format!("[{}]", asked.body.len())));
    let config = format!(
        "calls:\n  listen: [ \"http://127.0.0.1:0\" ]\n  functions: [ {{ name: upload, handler: {{ http: \"{}\" }}, input: stream }} ]\n",
        web.address()
    );
    let field = Field::new(&config);
    let sidecar = field.run();
    let mut caller = begin(&sidecar, "POST", "/upload", &["Transfer-Encoding: chunked"], "");
    caller.write_all(b"5\r\nfirst\r\nno length\r\n").unwrap();
    let mut bytes = Vec::new();
    caller.read_to_end(&mut bytes).unwrap();
    let answer = reply(&bytes);
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("bad_request")));
    assert_eq!(answer.json()["error"], "the body broke off");
}
