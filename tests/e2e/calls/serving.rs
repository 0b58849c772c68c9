//! The life of a sidecar that takes calls.

use std::{net::TcpStream, sync::Arc, time::Duration};

use super::{Gate, Line, ONE, begin, post, reply, with_handler};
use crate::harness::{Answer, Field, Signal, Web, wait_until};

const GOOD: &str = r#"{"records":[]}"#;

#[test]
fn a_run_with_calls_alone_opens_no_queue() {
    let (field, _handler, sidecar) = with_handler(ONE, |_| Answer::text("1"));
    assert_eq!(post(&sidecar, "/process-data", GOOD).status, 200);
    assert!(!field.path(".outrigger/queue.db").exists());
    assert!(sidecar.stop().success());
}

#[test]
fn what_is_in_flight_is_answered_before_the_end() {
    let gate = Arc::new(Gate::default());
    let shut = Arc::clone(&gate);
    let (field, handler, sidecar) = with_handler(ONE, move |_| {
        shut.pass();
        Answer::text("1")
    });
    let mut stream = begin(&sidecar, "POST", "/process-data", &[], GOOD);
    let mut line = Line::open(&field.path("calls.sock"));
    line.say(&format!(r#"{{"function":"processData","args":[{GOOD}]}}"#));
    handler.wait_for(2);
    let address = sidecar.calls();
    sidecar.signal(Signal::SIGTERM);
    wait_until("it takes nothing new", || {
        TcpStream::connect(address).is_err().then_some(())
    });
    gate.open();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut bytes).unwrap();
    assert_eq!(reply(&bytes).body, "1\n");
    assert_eq!(line.hear()["result"], 1);
    assert!(sidecar.ended(Duration::from_secs(20)).success());
}

#[test]
fn http_is_taken_on_a_unix_socket_too() {
    let field = Field::new(&ONE.replace("ipc:calls.sock", "http+unix://web.sock"));
    let _handler = crate::harness::Plain::at(&field.path("f.sock"), |_| Answer::text("1"));
    let _sidecar = field.run();
    let mut stream = std::os::unix::net::UnixStream::connect(field.path("web.sock")).unwrap();
    let request = format!(
        "POST /process-data HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{GOOD}",
        GOOD.len()
    );
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut bytes).unwrap();
    assert_eq!(reply(&bytes).body, "1\n");
}

#[test]
fn a_call_leaves_a_line_and_goes_on_in_its_trace() {
    let web = Web::on_port(|_| crate::harness::Said::json(200, "1"));
    let field = Field::new(&format!(
        "calls:\n  listen: [ \"http://127.0.0.1:0\" ]\n  functions: [ {{ name: f, handler: {{ http: \"{}\" }} }} ]\n",
        web.address()
    ));
    let sidecar = field.run();
    let parent = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(super::ask(&sidecar, "POST", "/f?secret=1", &[parent], "1").status, 200);
    let asked = &web.asked()[0];
    let child = asked.header("traceparent").expect("a trace");
    assert!(
        child.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && !child.contains("b7ad6b7169203331"),
        "{child}"
    );
    let said = sidecar.said();
    assert!(said.contains("\\\"POST /f HTTP/1.1\\\" 200 2"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn what_is_wrong_is_told_all_at_once() {
    let field = Field::new(
        "calls:
  listen: [ \"https://127.0.0.1:0\" ]
  functions:
    - { name: f, handler: {} }
    - { name: f, handler: { socket: a, http: \"http://h\" } }
    - { handler: { http: \"http://h\" } }
    - { name: g, handler: { socket: a }, input: stream, args: [ { name: x, schema: { type: strin } } ] }
    - { name: health, handler: { socket: a } }
    - { name: g, package: other, handler: { socket: a } }
  routes: [ { path: /g, function: g } ]
  auth: {}
  cors: { origins: [ \"*\" ], credentials: true }
",
    );
    let output = field.output(&["check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    for word in [
        "has no certificate",
        "the function has no handler",
        "several handlers: `socket`, `http`",
        "there are two functions `main/f`",
        "`g` is in several packages",
        "this handler says no hello",
        "only an HTTP handler takes a stream",
        "is no JSON Schema",
        "nothing is asked for",
        "browsers take no credentials",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
}
