//! Handlers that say what they have: their hello is the contract.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use super::{ask, invoke, post};
use crate::harness::{Field, Foreign, json, wait_until};

const CONTROL: u32 = 1 << 31;
const HELLO: &str = r#"{"hello":{"protocol":1,"functions":[
  {"name":"addOne","package":"sums","args":[{"name":"n","schema":{"type":"integer"}}],"result":{"type":"integer"},"streaming":true},
  {"name":"anything"}]}}"#;

/// Speaks protocol 1; notes what it is told of requests, and answers with 7.
fn serve(path: &Path) -> Arc<Mutex<Vec<String>>> {
    let listener = UnixListener::bind(path).expect("a socket");
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = Arc::clone(&told);
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let notes = Arc::clone(&notes);
            thread::spawn(move || exchange(stream, HELLO, &notes));
        }
    });
    told
}

fn exchange(mut stream: UnixStream, hello: &str, notes: &Mutex<Vec<String>>) -> Option<()> {
    frame(&mut stream, CONTROL, hello)?;
    loop {
        let mut head = [0; 4];
        stream.read_exact(&mut head).ok()?;
        let word = u32::from_be_bytes(head);
        let mut body = vec![0; (word & !CONTROL) as usize];
        stream.read_exact(&mut body).ok()?;
        let text = String::from_utf8(body).ok()?;
        if let Some(number) = text.strip_prefix(r#"{"ping":"#) {
            frame(&mut stream, CONTROL, &format!(r#"{{"pong":{number}"#))?;
            continue;
        }
        notes.lock().expect("nobody panicked").push(text);
        if word & CONTROL == 0 {
            frame(&mut stream, 0, r#"{"status":"ok","result":7}"#)?;
        }
    }
}

fn frame(stream: &mut UnixStream, flag: u32, text: &str) -> Option<()> {
    let length = u32::try_from(text.len()).expect("short") | flag;
    stream
        .write_all(&[&length.to_be_bytes(), text.as_bytes()].concat())
        .ok()
}

#[test]
fn every_function_of_a_hello_is_served_with_its_contract() {
    let field =
        Field::new("calls: { listen: [ \"http://127.0.0.1:0\" ], functions: [ { handler: { socket: h.sock } } ] }");
    let sidecar = field.start(&["run"], &[]);
    // Nobody knows yet what there is.
    let early = post(&sidecar, "/invoke", &invoke("addOne", "[1]"));
    assert_eq!((early.status, early.header("retry-after")), (503, Some("1")));
    assert!(!sidecar.is_ready());
    let told = serve(&field.path("h.sock"));
    sidecar.ready();
    let list = ask(&sidecar, "GET", "/functions", &[], "").json();
    assert_eq!(list["result"][1]["name"], "addOne");
    assert_eq!(
        (&list["result"][1]["package"], &list["result"][1]["inputType"]),
        (&json!("sums"), &json!("number"))
    );
    assert_eq!(list["result"][1]["supportsStreaming"], true);
    assert_eq!(post(&sidecar, "/add-one", "1").body, "7\n");
    assert_eq!(post(&sidecar, "/add-one", "\"1\"").json()["errors"][0]["path"], "");
    assert_eq!(post(&sidecar, "/nothing", "1").status, 404);
    let told = told.lock().unwrap().clone();
    let meta: crate::harness::Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!(
        (&meta["meta"]["package"], &meta["meta"]["function"]),
        (&json!("sums"), &json!("addOne"))
    );
    assert_eq!(meta["meta"]["input"], "payload");
    assert_eq!(told[1], "1");
}

#[test]
fn a_function_without_arguments_of_its_own_has_those_of_the_hello() {
    let field = Field::new(
        "calls: { listen: [ \"http://127.0.0.1:0\" ], functions: [ { name: addOne, package: sums, handler: { socket: h.sock } } ] }",
    );
    let sidecar = field.run();
    let told = serve(&field.path("h.sock"));
    // The very first call knows already what the handler takes.
    assert_eq!(post(&sidecar, "/add-one", "true").status, 400);
    assert_eq!(post(&sidecar, "/add-one", "5").body, "7\n");
    wait_until("it was asked", || (told.lock().unwrap().last()? == "5").then_some(()));
}

#[test]
fn handlers_that_come_into_a_folder_are_served_and_those_that_leave_are_not() {
    let field = Field::new("calls: { listen: [ \"http://127.0.0.1:0\" ], functions: handlers }");
    let sidecar = field.run();
    // Nobody has promised that there is anything.
    assert_eq!(post(&sidecar, "/add-one", "1").status, 404);
    std::fs::create_dir(field.path("handlers")).expect("a folder");
    field.write("handlers/notes.txt", "no handler");
    serve(&field.path("handlers/sums.sock"));
    let found = wait_until("the function is there", || {
        let reply = post(&sidecar, "/add-one", "1");
        (reply.status != 404).then_some(reply)
    });
    assert_eq!(found.body, "7\n");
    // One whose handler has gone, and whose socket has not, is no reason to wait for more.
    drop(UnixListener::bind(field.path("handlers/gone.sock")).expect("a socket"));
    assert_eq!(post(&sidecar, "/nothing", "1").status, 404);
    std::fs::remove_file(field.path("handlers/sums.sock")).expect("it is there");
    wait_until("the function has gone", || {
        (post(&sidecar, "/add-one", "1").status == 404).then_some(())
    });
    assert!(sidecar.is_ready());
}

#[test]
fn a_file_in_a_folder_that_needs_a_compiler_is_an_error_at_the_start() {
    let field = Field::new("calls: { listen: [ \"http://127.0.0.1:0\" ], functions: [ routes ] }");
    std::fs::create_dir(field.path("routes")).expect("a folder");
    field.write("routes/sum.ft", "");
    let output = field.output(&["run"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("no compiler in this build for"), "{said}");
    assert!(said.contains("routes/sum.ft"), "{said}");
}

#[test]
fn a_handler_that_comes_back_with_other_functions_is_served_with_those() {
    let field =
        Field::new("calls: { listen: [ \"http://127.0.0.1:0\" ], functions: [ { handler: { socket: h.sock } } ] }");
    let path = field.path("h.sock");
    let sidecar = field.start(&["run"], &[]);
    let first = UnixListener::bind(&path).expect("a socket");
    let (stream, _) = first.accept().expect("it is asked");
    let ours = stream.try_clone().expect("a handle");
    let answering = thread::spawn(move || exchange(stream, HELLO, &Mutex::default()));
    sidecar.ready();
    assert_eq!(post(&sidecar, "/add-one", "1").body, "7\n");
    // It ends, with its connections.
    drop(first);
    std::fs::remove_file(&path).expect("it is there");
    ours.shutdown(std::net::Shutdown::Both).expect("it can be shut");
    answering.join().expect("no panic");
    let second = UnixListener::bind(&path).expect("a socket");
    thread::spawn(move || {
        while let Ok((stream, _)) = second.accept() {
            let hello = r#"{"hello":{"protocol":1,"functions":[{"name":"addTwo"}]}}"#;
            thread::spawn(move || exchange(stream, hello, &Mutex::default()));
        }
    });
    wait_until("the new function is there", || {
        (post(&sidecar, "/add-two", "1").status == 200).then_some(())
    });
    assert_eq!(post(&sidecar, "/add-one", "1").status, 404);
}

#[test]
fn a_handler_of_a_runtime_needs_no_word_to_be_given_the_argument_itself() {
    let field = Field::new("calls:\n  listen: [ \"http://127.0.0.1:0\" ]\n  functions: fns\n");
    fs::create_dir(field.path("fns")).expect("a folder");
    let _python = Foreign::runtime(&field, "fns/py.sock", "work", "work", 1);
    let sidecar = field.run();
    let argument = r#"{"n":1}"#;
    let found = wait_until("it is found", || {
        Some(post(&sidecar, "/work", argument)).filter(|answer| answer.status == 200)
    });
    assert_eq!(found.body, "{\"n\":1}\n");
    let by_invoke = post(&sidecar, "/invoke", &invoke("work", &format!("[{argument}]")));
    assert_eq!(by_invoke.json()["result"], json!({ "n": 1 }));
    let two = post(&sidecar, "/invoke", &invoke("work", "[1,2]"));
    assert_eq!((two.status, &two.json()["code"]), (400, &json!("bad_arguments")));
    let listing = ask(&sidecar, "GET", "/functions", &[], "").json();
    assert_eq!(listing["result"][0]["parameters"][0]["name"], "payload");
}
