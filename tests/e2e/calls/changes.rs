//! The configuration changes while calls are under way.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{Gate, ask, begin, post, reply};
use crate::harness::{Answer, Field, Plain, Said, Sidecar, Web, json, wait_until};

/// Functions `f` and, where it is wanted, `g`, at `f.sock` and `g.sock`; `more` is a part of `calls`.
fn config(names: &[&str], more: &str) -> String {
    let entry = |name: &&str| format!("    - {{ name: {name}, handler: {{ socket: {name}.sock, dialect: plain }} }}\n");
    let entries: String = names.iter().map(entry).collect();
    format!("calls:\n  listen: [ \"http://127.0.0.1:0\" ]\n  functions:\n{entries}{more}")
}

#[track_caller]
fn reload(sidecar: &Sidecar) -> (u16, String) {
    sidecar.ask("POST", "/reload")
}

/// A call on a connection that stays.
#[track_caller]
fn call(stream: &mut TcpStream, path: &str) -> String {
    let request = match path {
        "/health" => "GET /health HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        _ => format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"),
    };
    stream.write_all(request.as_bytes()).expect("it takes it");
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\n") || !bytes.windows(4).any(|end| end == b"\r\n\r\n") || bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).expect("an answer"), 1, "ended early");
        bytes.push(byte[0]);
    }
    let reply = reply(&bytes);
    format!("{} {}", reply.status, reply.body.trim_end())
}

#[test]
fn functions_change_below_connections_that_stay() {
    let field = Field::new(&config(&["f"], ""));
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let f = Plain::at(&field.path("f.sock"), move |_| {
        held.pass();
        Answer::text(r#"{"status":"ok","result":"f"}"#)
    });
    let _g = Plain::at(&field.path("g.sock"), |_| {
        Answer::text(r#"{"status":"ok","result":"g"}"#)
    });
    let sidecar = field.run();
    let mut under_way = begin(&sidecar, "POST", "/f", &[], "1");
    let mut stays = TcpStream::connect(sidecar.calls()).expect("it listens");
    assert!(call(&mut stays, "/health").starts_with("200 "));
    wait_until("f is called", || (f.requests().len() == 1).then_some(()));
    field.configure(&config(&["g"], ""));
    assert_eq!(reload(&sidecar), (200, r#"{"generation":2}"#.to_owned()));
    assert_eq!(call(&mut stays, "/g"), "200 \"g\"");
    assert!(call(&mut stays, "/f").starts_with("404 "));
    gate.open();
    let mut answer = String::new();
    under_way.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("\"f\"\n"), "{answer}");
}

#[test]
fn addresses_come_and_go_with_the_file() {
    let field = Field::new(&config(&["f"], ""));
    let _f = Plain::at(&field.path("f.sock"), |_| {
        Answer::text(r#"{"status":"ok","result":"f"}"#)
    });
    let sidecar = field.run();
    let first = sidecar.calls();
    let mut stays = TcpStream::connect(first).expect("it listens");
    assert_eq!(call(&mut stays, "/f"), "200 \"f\"");
    let both = config(&["f"], "").replace("127.0.0.1:0\"", "127.0.0.1:0\", \"ipc:calls.sock\"");
    // Nobody tells it but the file.
    field.configure(&both);
    wait_until("the socket is there", || {
        field.path("calls.sock").exists().then_some(())
    });
    assert_eq!(call(&mut stays, "/f"), "200 \"f\"");
    field.configure(&both.replace("\"http://127.0.0.1:0\", ", ""));
    wait_until("nobody listens any more", || TcpStream::connect(first).err());
    assert!(field.path("calls.sock").exists());
    field.configure(&config(&["f"], ""));
    wait_until("the socket is gone", || {
        (!field.path("calls.sock").exists()).then_some(())
    });
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    let field = Field::new(&config(&["f"], ""));
    let _f = Plain::at(&field.path("f.sock"), |_| {
        Answer::text(r#"{"status":"ok","result":"f"}"#)
    });
    let sidecar = field.run();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let both = format!("\"ipc:calls.sock\", \"http://{address}\"");
    field.configure(&config(&["g"], "").replace("\"http://127.0.0.1:0\"", &both));
    let (status, said) = reload(&sidecar);
    assert_eq!(status, 422, "{said}");
    assert!(said.contains(&address.to_string()), "{said}");
    assert!(!field.path("calls.sock").exists());
    assert_eq!(post(&sidecar, "/f", "1").body, "\"f\"\n");
    assert_eq!(post(&sidecar, "/g", "1").status, 404);
}

#[test]
fn health_tells_of_a_change_that_is_being_made_ready() {
    let field = Field::new(&config(&["f"], ""));
    let _f = Plain::at(&field.path("f.sock"), |_| {
        Answer::text(r#"{"status":"ok","result":"f"}"#)
    });
    let sidecar = field.run();
    let healthy = json!({ "success": true, "output": "outrigger is healthy" });
    assert_eq!(ask(&sidecar, "GET", "/health", &[], "").json(), healthy);
    // Takes a connection, and says no hello.
    let mute = UnixListener::bind(field.path("mute.sock")).expect("a socket");
    // Said again as it was, which counts all the same.
    assert_eq!(reload(&sidecar), (200, r#"{"generation":2}"#.to_owned()));
    field.configure(&config(&["f"], "    - { handler: { socket: mute.sock } }\n"));
    thread::scope(|scope| {
        let changed = scope.spawn(|| reload(&sidecar));
        let (connection, _) = mute.accept().expect("it is asked");
        let health = ask(&sidecar, "GET", "/health", &[], "").json();
        assert_eq!((&health["reloading"], &health["generation"]), (&json!(true), &json!(2)));
        assert_eq!(post(&sidecar, "/f", "1").body, "\"f\"\n");
        drop(connection);
        assert_eq!(changed.join().expect("no panic").0, 200);
    });
    assert_eq!(ask(&sidecar, "GET", "/health", &[], "").json(), healthy);
}

#[test]
fn an_upstream_of_which_the_same_is_said_keeps_its_connections() {
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = upstream.local_addr().expect("an address");
    thread::spawn(move || {
        // One connection alone.
        let (mut stream, _) = upstream.accept()?;
        drop(upstream);
        let mut bytes = [0; 4096];
        while stream.read(&mut bytes)? > 0 {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")?;
        }
        Ok::<_, std::io::Error>(())
    });
    let proxy = format!("  upstreams: {{ api: {{ urls: [ \"http://{address}\" ] }} }}\n");
    let routes = |prefix: &str| format!("{proxy}  routes: [ {{ prefix: {prefix}, upstream: api }} ]\n");
    let field = Field::new(&config(&["f"], &routes("/a")));
    let sidecar = field.run();
    assert_eq!(ask(&sidecar, "GET", "/a", &[], "").status, 200);
    field.configure(&config(&["f"], &routes("/b")));
    assert_eq!(reload(&sidecar).0, 200);
    assert_eq!(ask(&sidecar, "GET", "/a", &[], "").status, 404);
    assert_eq!(ask(&sidecar, "GET", "/b", &[], "").status, 200);
}

#[test]
fn no_call_fails_while_the_configuration_changes_again_and_again() {
    let upstream = Web::on_port(|_| Said::with(200, &[], "up"));
    let proxy = |prefix: &str| {
        let address = upstream.address();
        format!(
            "  upstreams: {{ api: {{ urls: [ \"{address}\" ] }} }}\n  routes: [ {{ prefix: /up, upstream: api }}, {{ prefix: {prefix}, upstream: api }} ]\n"
        )
    };
    let field = Field::new(&config(&["f"], &proxy("/0")));
    let _f = Plain::at(&field.path("f.sock"), |_| {
        Answer::text(r#"{"status":"ok","result":"f"}"#)
    });
    let sidecar = field.run();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let callers: Vec<_> = ["/f", "/up"]
            .into_iter()
            .map(|path| {
                let (sidecar, is_over) = (&sidecar, &is_over);
                scope.spawn(move || {
                    let mut calls = 0;
                    while !is_over.load(Ordering::SeqCst) {
                        assert_eq!(post(sidecar, path, "1").status, 200, "{path}");
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        for number in 1..=30 {
            field.configure(&config(&["f"], &proxy(&format!("/{number}"))));
            assert_eq!(reload(&sidecar).0, 200);
        }
        is_over.store(true, Ordering::SeqCst);
        for caller in callers {
            assert!(caller.join().expect("every call is answered") > 0);
        }
    });
    assert_eq!(ask(&sidecar, "GET", "/30", &[], "").status, 200);
}

#[test]
fn requests_are_told_of_as_the_file_says() {
    let upstream = Web::on_port(|_| Said::with(200, &[], "up"));
    let proxy = |format: &str| {
        let address = upstream.address();
        format!(
            "  access_log: {format}\n  upstreams: {{ api: {{ urls: [ \"{address}\" ] }} }}\n  routes: [ {{ prefix: /up, upstream: api }} ]\n"
        )
    };
    let field = Field::new(&config(&["f"], &proxy("json")));
    let sidecar = field.run();
    let told = |path: &str| {
        let lines = sidecar.lines();
        let mut messages = lines.iter().filter(|line| line["target"] == "calls::access");
        messages
            .find(|line| line["message"].as_str().is_some_and(|line| line.contains(path)))
            .map(|line| line["message"].as_str().unwrap_or_default().to_owned())
    };
    ask(&sidecar, "GET", "/up/1?secret=1", &["User-Agent: me"], "");
    let line: crate::harness::Value =
        serde_json::from_str(&wait_until("it is told of", || told("/up/1"))).expect("an object");
    assert_eq!(
        (&line["path"], &line["status"], &line["bytes"]),
        (&json!("/up/1"), &json!(200), &json!(2))
    );
    assert_eq!(
        (&line["user_agent"], &line["host"]),
        (&json!("me"), &json!("127.0.0.1"))
    );
    for (format, path) in [("\"off\"", "/up/2"), ("combined", "/up/3")] {
        field.configure(&config(&["f"], &proxy(format)));
        assert_eq!(reload(&sidecar).0, 200);
        ask(&sidecar, "GET", path, &["User-Agent: me"], "");
    }
    let line = wait_until("it is told of", || told("/up/3"));
    assert!(line.ends_with("\"GET /up/3 HTTP/1.1\" 200 2 \"-\" \"me\""), "{line}");
    assert_eq!(told("/up/2"), None);
}
