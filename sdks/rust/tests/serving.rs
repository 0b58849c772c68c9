//! What the vectors cannot ask for: a served function in this very process, seen through its socket.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not there")]

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

use outrigger_handler::{Context, Error, Handlers, ReportError};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Serves in the background until the test process ends, and connects.
fn serve(handlers: Handlers) -> (TempDir, UnixStream) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(SOCKET);
    let handlers = handlers.socket(&path);
    thread::spawn(move || handlers.serve().unwrap());
    let mut stream = connect(&path);
    assert!(read(&mut stream)["hello"].is_object());
    (folder, stream)
}

fn connect(path: &Path) -> UnixStream {
    let begun = Instant::now();
    let stream = loop {
        match UnixStream::connect(path) {
            Ok(stream) => break stream,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        thread::sleep(Duration::from_millis(5));
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn send(stream: &mut UnixStream, body: &[u8]) {
    let length = u32::try_from(body.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes(), body].concat()).unwrap();
}

fn read(stream: &mut UnixStream) -> Value {
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let mut body = vec![0; (u32::from_be_bytes(head) & !(1 << 31)) as usize];
    stream.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn a_function_that_reports_nothing_sees_that_its_peer_has_gone() {
    let (tell, told) = sync_channel(1);
    let (_folder, mut stream) = serve(Handlers::new().function("loop", move |_: Value, context: &Context| {
        context.heartbeat()?;
        while !context.is_canceled() {
            thread::sleep(Duration::from_millis(1));
        }
        tell.send(context.heartbeat().unwrap_err().to_string()).unwrap();
        Ok::<_, ReportError>(())
    }));
    send(&mut stream, b"null");
    assert_eq!(read(&mut stream)["status"], "heartbeat");
    drop(stream);
    assert_eq!(
        told.recv_timeout(PATIENCE).unwrap(),
        "the sidecar has closed the connection"
    );
}

#[test]
fn a_panic_is_an_error_of_its_message_alone() {
    let (_folder, mut stream) =
        serve(Handlers::new().function("divide", |numbers: (i64, i64)| Ok::<_, Error>(numbers.0 / numbers.1)));
    send(&mut stream, b"[1,0]");
    let failed = read(&mut stream);
    assert_eq!(
        (&failed["status"], &failed["type"], &failed["message"]),
        (&json!("error"), &json!("panic"), &json!("attempt to divide by zero"))
    );
    let place = failed["traceback"].as_str().unwrap();
    assert!(
        place.starts_with("panicked at ") && place.contains("serving.rs"),
        "{place}"
    );
    send(&mut stream, b"[6,3]");
    assert_eq!(read(&mut stream), json!({"status": "ok", "result": 2}));
}

#[test]
fn frames_over_the_cap_are_refused_and_the_connection_goes_on() {
    let repeat = |text: String| Ok::<_, Error>(text.repeat(10));
    let (_folder, mut stream) = serve(Handlers::new().function("repeat", repeat).max_frame(200));
    send(&mut stream, format!("\"{}\"", "x".repeat(199)).as_bytes());
    assert_eq!(read(&mut stream)["error"], "frame_too_large");
    send(&mut stream, format!("\"{}\"", "x".repeat(20)).as_bytes());
    assert_eq!(read(&mut stream)["error"], "result_too_large");
    send(&mut stream, b"\"x\"");
    assert_eq!(read(&mut stream)["result"], "xxxxxxxxxx");
}

#[test]
fn a_context_that_outlives_its_call_reports_nothing() {
    let (tell, told) = sync_channel(1);
    let (_folder, mut stream) = serve(Handlers::new().function("leave", move |_: Value, context: &Context| {
        tell.send(context.clone()).unwrap();
        Ok::<_, Error>(1)
    }));
    send(&mut stream, b"null");
    assert_eq!(read(&mut stream)["result"], 1);
    let context = told.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(context.heartbeat(), Err(ReportError::Ended)));
    send(&mut stream, b"null");
    assert_eq!(read(&mut stream)["status"], "ok");
}

#[test]
fn a_single_function_serves_every_name_and_streaming_is_announced() {
    let (folder, _) = serve(Handlers::new().streaming("pieces", |n: u8, context: &Context| {
        context.partial(n)?;
        Ok::<_, ReportError>(n)
    }));
    let mut stream = connect(&folder.path().join(SOCKET));
    assert_eq!(
        read(&mut stream),
        json!({"hello": {"protocol": 1, "functions": [{"name": "pieces", "args": [{"name": "payload"}], "streaming": true}]}})
    );
    let meta = br#"{"meta":{"function":"whatever"}}"#;
    let head = (u32::try_from(meta.len()).unwrap() | 1 << 31).to_be_bytes();
    stream.write_all(&[&head[..], meta].concat()).unwrap();
    send(&mut stream, b"7");
    assert_eq!(read(&mut stream), json!({"status": "partial", "data": 7}));
    assert_eq!(read(&mut stream)["result"], 7);
}

#[test]
fn what_cannot_be_served_is_said() {
    let one = |n: u8| Ok::<_, Error>(n);
    let refused = |handlers: Handlers| handlers.serve().unwrap_err();
    let none = refused(Handlers::new().socket("unused"));
    assert_eq!(
        (none.exit_code(), none.to_string().contains("nothing to serve")),
        (78, true)
    );
    let twice = refused(Handlers::new().socket("unused").function("a", one).function("a", one));
    assert_eq!(
        twice.to_string(),
        "two of the functions have the name `a`: give one of them another"
    );
}

const SOCKET: &str = "h.sock";
const PATIENCE: Duration = Duration::from_mins(1);
