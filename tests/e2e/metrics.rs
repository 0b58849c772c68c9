//! What `/metrics` says after work of every outcome: the right numbers, and nothing that Prometheus' own tool minds.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::harness::{Answer, Field, Plain, Sidecar, wait_until};

/// The value of a sample, by its name and labels as they are written.
fn sample(text: &str, name: &str) -> usize {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    line.parse().expect("a number")
}

/// What `promtool check metrics` says to a text.
#[track_caller]
fn complaints(text: &str) -> String {
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing: run `cargo xtask setup`");
    let mut input = tool.stdin.take().expect("its input");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = tool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

/// Work that ends in every way: it goes on, is done, fans out, is tried again, fails, is told of, and loses its handler.
fn work() -> (Field, [Plain; 2], Sidecar) {
    let field = Field::new(
        "actors: { a: { handler: { socket: a.sock }, retry: { attempts: 2, backoff: 1ms } }, b: { handler: { socket: b.sock } }, events: { handler: { socket: none.sock } } }
signals: { unix: { path: signals.sock }, backends: { none: { type: blackhole, flush_interval: 0 } } }
calls: { listen: [ \"ipc:calls.sock\", \"http+unix://web.sock\" ], functions: [ { name: f, handler: { socket: nobody.sock, dialect: plain } } ], upstreams: { api: { urls: [ \"http+unix://api.sock\" ] } }, routes: [ { prefix: /, upstream: api } ] }",
    );
    // A close on a connection that was kept is tried once more at once; only the second is a lost handler.
    let closed = AtomicUsize::new(0);
    let first = Plain::at(&field.path("a.sock"), move |request| match &*request.body {
        b"\"again\"" => Answer::text(r#"{"status":"error","error":"odd","message":"never"}"#),
        b"\"close\"" if closed.fetch_add(1, Ordering::SeqCst) < 2 => Answer::Close,
        _ => Answer::text("[1, 2]"),
    });
    let second = Plain::echo(&field.path("b.sock"));
    // In their order: goes on as two, is tried again and fails, loses its handler, is told of.
    let message = |id: &str, payload: &str, headers: &str| {
        format!(r#"{{"id":"{id}","route":{{"actors":["a","b"],"current":0}},"headers":{headers},"payload":{payload}}}"#)
    };
    field.put("a", &[message("m1", "1", "{}")]);
    field.put("a", &[message("m2", "\"again\"", "{}")]);
    let up = field.start(&["up"], &[]);
    field.wait_for("error-end", 1);
    field.put("a", &[message("m3", "\"close\"", "{}")]);
    field.put(
        "a",
        &[
            message("m4", "1", r#"{"reply_to":"events"}"#),
            message("m5", "1", r#"{"reply_to":"none"}"#),
        ],
    );
    field.put_bytes("a", b"no envelope");
    let mut sender = UnixStream::connect(field.path("signals.sock")).expect("it listens");
    let span = r#"{"src":"api","ts":1,"type":"span","tid":"t","sid":"s","data":{"name":"n"}}"#;
    writeln!(sender, "{span}").expect("it takes lines");
    let mut caller = UnixStream::connect(field.path("calls.sock")).expect("it listens");
    caller
        .write_all(br#"{"function":"f","args":[]}"#)
        .expect("it takes calls");
    let mut answer = String::new();
    BufReader::new(caller).read_line(&mut answer).expect("an answer");
    assert!(answer.contains("handler_unavailable"), "{answer}");
    let mut caller = UnixStream::connect(field.path("web.sock")).expect("it listens");
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    caller.write_all(request).expect("it takes calls");
    let mut answer = String::new();
    caller.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("Sidecar unavailable"), "{answer}");
    (field, [first, second], up)
}

#[test]
fn promtool_has_no_complaint_about_what_is_served_after_work_of_every_outcome() {
    let (field, _handlers, up) = work();
    field.wait_for("happy-end", 8);
    field.wait_for("error-end", 2);
    let text = wait_until("everything is counted", || {
        let (_, text) = up.get("/metrics");
        (sample(&text, r#"sidecar_actor_messages_in_flight{actor="a"}"#) == 0
            && text.contains("sidecar_messages_routed_total{backend=\"none\"} 1\n")
            && text.contains("sidecar_backend_latency_seconds_count{backend=\"none\"} 1\n")
            && sample(&text, r#"sidecar_actor_messages_in_flight{actor="b"}"#) == 0)
            .then_some(text)
    });
    assert_eq!(complaints(&text), "");
    let taken = |name: &str| sample(&text, &format!("sidecar_actor_{name}"));
    // Five messages, one of them twice as it asked for, one as its handler was lost; and bytes that are none.
    assert_eq!(taken(r#"messages_received_total{actor="a"}"#), 8);
    assert_eq!(taken(r#"attempts_total{actor="a"}"#), 7);
    for (outcome, count) in [("forwarded", 4), ("failed", 2), ("put_back", 2), ("lost", 0)] {
        assert_eq!(
            taken(&format!(r#"messages_settled_total{{actor="a",outcome="{outcome}"}}"#)),
            count,
            "{outcome}"
        );
    }
    for (actor, kind, count) in [
        ("a", "next", 8),
        ("a", "error_end", 2),
        ("a", "happy_end", 0),
        ("b", "happy_end", 8),
    ] {
        assert_eq!(
            taken(&format!(r#"messages_sent_total{{actor="{actor}",kind="{kind}"}}"#)),
            count,
            "{kind} of {actor}"
        );
    }
    for (code, count) in [("odd", 1), ("invalid_envelope", 1)] {
        assert_eq!(
            taken(&format!(r#"messages_failed_total{{actor="a",code="{code}"}}"#)),
            count,
            "{code}"
        );
    }
    for (histogram, count) in [
        ("envelope_size_bytes", 8),
        ("receive_duration_seconds", 8),
        ("handler_duration_seconds", 7),
        ("send_duration_seconds", 6),
    ] {
        assert_eq!(
            taken(&format!(r#"{histogram}_count{{actor="a"}}"#)),
            count,
            "{histogram}"
        );
    }
    // Of the first two to `b`: received and done; what goes to a queue that is not there is lost.
    assert_eq!(
        taken(r#"messages_sent_total{actor="a",kind="event"}"#),
        field.depth("events") - taken(r#"messages_sent_total{actor="b",kind="event"}"#)
    );
    assert!(taken(r#"events_lost_total{reason="no_queue"}"#) > 0);
    assert!(up.stop().success());
    check_reference(&text);
}

/// Compares the page that lists every metric with what is served; writes it where `OUTRIGGER_WRITE_REFERENCE` is set.
#[track_caller]
fn check_reference(served: &str) {
    let mut page = String::from(
        "# Metrics\n\nOn `/metrics` of the admin address. Written by `cargo xtask generate`.\n\n| metric | type | what it counts |\n|---|---|---|\n",
    );
    let mut help = "";
    for line in served.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            page.push_str(&["| `", name, "` | ", kind, " | ", help, " |\n"].concat());
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    #[expect(clippy::disallowed_methods, reason = "a switch of the developer tool, not a setting")]
    if std::env::var("OUTRIGGER_WRITE_REFERENCE").is_ok() {
        fs::write(&path, &page).expect("the page is ours");
    }
    let written = fs::read_to_string(&path).expect("the page is there");
    assert_eq!(page, written, "run `cargo xtask generate`");
}

#[test]
fn promtool_minds_what_is_wrong() {
    assert_ne!(
        complaints("# TYPE things counter\nthings 1\n"),
        "",
        "the check itself works"
    );
}
