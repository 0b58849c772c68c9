//! Handlers of functions that die in the middle of a call.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::Duration,
};

use super::{
    Scene,
    client::post,
    gauge::{Bound, Gauge},
    scale,
    steady::Steady,
};
use crate::harness::{Answer, Field, Foreign, Request, Signal, Value, rounds_of, wait_until};

/// Dies as the argument says.
pub(super) fn mortal(request: &Request) -> Answer {
    match request.json().as_str() {
        Some("close") => Answer::Close,
        Some("half") => Answer::Raw(vec![0, 0]),
        Some("half-frame") => Answer::Raw(frame("1234")[..6].to_vec()),
        Some("garbage") => Answer::text("{nope"),
        Some("pieces") => Answer::Raw(frame(r#"{"status":"partial","data":1}"#)),
        other => panic!("no end is called {other:?}"),
    }
}

fn frame(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("short");
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

/// A way for a handler to end, and the status and the code that its caller gets.
pub(super) const ENDS: &[(&str, u16, &str)] = &[
    ("close", 503, "handler_unavailable"),
    ("half", 502, "bad_reply"),
    ("half-frame", 502, "bad_reply"),
    ("garbage", 502, "bad_reply"),
];
const TIMES: usize = 8;
const AT_ONCE: usize = 8;

/// Calls a handler that ends so, over HTTP.
pub(super) fn dies(port: SocketAddr, (end, status, code): (&str, u16, &str)) {
    post(port, "/mortal", &format!("\"{end}\"")).is_code(status, code);
}

/// Calls one that ends in the middle of its pieces.
pub(super) fn dies_in_pieces(port: SocketAddr) {
    let call = r#"{"function":"mortal","args":["pieces"],"streaming":true}"#;
    let answer = post(port, "/invoke", call);
    let text = answer.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((answer.status, answer.is_whole, lines.len()), (200, true, 2), "{text}");
    assert_eq!(lines[0], r#"{"data":1,"status":"partial"}"#);
    assert!(
        lines[1].contains(r#""status":"error""#) && lines[1].contains(r#""code":"handler_unavailable""#),
        "{text}"
    );
}

/// Calls one that never answers, and waits for the end of the time for it.
pub(super) fn is_late(port: SocketAddr) {
    post(port, "/late-one", "1").is_code(504, "timeout");
}

/// A call over the Unix socket, and its answer.
#[track_caller]
pub(super) fn ipc(socket: &Path, call: &str) -> Value {
    let stream = UnixStream::connect(socket).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_mins(2)))
        .expect("a timeout");
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(call.as_bytes()).expect("it takes them");
    let mut line = String::new();
    stream.read_line(&mut line).expect("a line");
    serde_json::from_str(&line).expect("JSON")
}

/// Dead: a handler closes its connection before its answer, within the answer's frame, or after pieces of it; it answers what
/// is no JSON, or nothing until the time is over.
/// Holds: 503, 502 and 504, and after pieces a last line that says so; over the Unix socket the same codes.
#[test]
fn handlers_that_end_in_a_call_are_told_to_its_caller_alone() {
    let scene = Scene::new();
    let (port, socket) = (scene.port(), scene.socket());
    let steady = Steady::beside(&scene);
    let many = |times| {
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    for _ in 0..times {
                        for end in ENDS {
                            dies(port, *end);
                            let call = format!("{{\"function\":\"mortal\",\"args\":[\"{}\"]}}", end.0);
                            assert_eq!(ipc(&socket, &call)["code"], end.2, "{}", end.0);
                        }
                        dies_in_pieces(port);
                        is_late(port);
                    }
                });
            }
        });
    };
    many(1);
    let gauge = Gauge::new(&scene.sidecar);
    many(TIMES * scale());
    steady.goes_on();
    gauge.is_back("handlers that end in a call", Bound::FEW);
    eprintln!("handlers that end in a call: {} right answers beside", steady.end());
    assert!(scene.sidecar.stop().success());
}

/// Killed: the process of a handler, with SIGKILL, while calls over HTTP and over the Unix socket wait for it.
/// Holds: each of them is told so, 503; the first call after it has come again is answered.
#[test]
fn a_handler_process_that_is_killed_is_told_to_every_call_it_had() {
    const CALLS: usize = 8;
    let field = Field::new(
        "calls:
  listen: [ \"http://127.0.0.1:0\", \"ipc:calls.sock\" ]
  functions: [ { name: gated, handler: { socket: gated.sock }, args: [ { name: x, schema: {} } ], concurrency: 64 } ]
",
    );
    let start = || Foreign::runtime(&field, "gated.sock", "gated", "gated", 2 * CALLS);
    let mut handler = Some(start());
    let sidecar = field.run();
    let (address, socket) = (sidecar.calls(), field.path("calls.sock"));
    let mut gauge = None;
    rounds_of(3, 10, |round| {
        let called = field.notes().calls.len();
        thread::scope(|scope| {
            for number in 0..CALLS {
                let socket = &socket;
                scope.spawn(move || post(address, "/gated", &format!("{number}")).is_code(503, "handler_unavailable"));
                scope.spawn(move || {
                    let call = format!("{{\"function\":\"gated\",\"args\":[{number}]}}");
                    assert_eq!(ipc(socket, &call)["code"], "handler_unavailable");
                });
            }
            wait_until("all of them are with the handler", || {
                (field.notes().calls.len() >= called + 2 * CALLS).then_some(())
            });
            round.moment();
            let handler = handler.take().expect("it was started anew");
            handler.signal(Signal::SIGKILL);
        });
        let _ = std::fs::remove_file(field.path("gated.sock"));
        handler = Some(start());
        field.write("gate", "");
        let answer = post(address, "/gated", "7");
        assert_eq!((answer.status, &*answer.text()), (200, "7\n"), "{answer:?}");
        std::fs::remove_file(field.path("gate")).expect("it is shut again");
        gauge.get_or_insert_with(|| Gauge::new(&sidecar));
    });
    gauge.expect("a round").is_back("a handler killed", Bound::FEW);
    assert!(sidecar.stop().success());
}
