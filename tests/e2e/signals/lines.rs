//! What becomes of a line.

use std::{
    io::{BufReader, Write},
    net::TcpStream,
};

use super::{TO_A_FILE, dropped, event, lines_of, port, run, said, send, wait_for_lines};
use crate::harness::{json, wait_until};

#[test]
fn lines_go_where_their_source_and_what_they_say_have_them_go() {
    let (field, sidecar) = run("signals:
  tcp: { port: 0 }
  buffers: { flush_interval: 0 }
  routing:
    db-*: [{ backend: all }, { backend: alerts, filter: { level: error } }]
    quiet: [{ backend: alerts, filter: { types: [metric], names: [\"q*\"], tags: { zone: 1 } } }]
  backends:
    all: { type: file, path: \"{source}/{type}.jsonl\" }
    alerts: { type: filesystem, config: { path: alerts.jsonl } }
");
    let line =
        |source: &str, kind: &str, data| json!({ "src": source, "ts": 1, "type": kind, "data": data }).to_string();
    let lines = [
        line("db-load", "event", json!({ "level": "info" })),
        line("db-load", "event", json!({ "level": "fatal" })),
        line("db-load", "new", json!(null)),
        line("quiet", "metric", json!({ "name": "queue", "tags": { "zone": "1" } })),
        line("quiet", "metric", json!({ "name": "queue", "tags": { "zone": 2 } })),
        line("other", "event", json!({})),
    ];
    send(port(&sidecar), &lines);
    assert_eq!(
        wait_for_lines(&field.path("alerts.jsonl"), 2),
        [lines[1].clone(), lines[3].clone()]
    );
    assert_eq!(wait_for_lines(&field.path("db-load/event.jsonl"), 2), lines[..2]);
    assert_eq!(wait_for_lines(&field.path("db-load/new.jsonl"), 1), lines[2..3]);
    assert_eq!(
        dropped(&sidecar),
        [("filtered".to_owned(), 1), ("no_route".to_owned(), 1)].into()
    );
    assert_eq!(sidecar.metric("sidecar_messages_received_total{source=\"db-load\"}"), 3);
    assert_eq!(sidecar.metric("sidecar_messages_routed_total{backend=\"alerts\"}"), 2);
}

#[test]
fn a_wrong_line_costs_only_itself() {
    let (field, sidecar) = run(TO_A_FILE);
    let long = format!(
        "{{\"src\":\"a\",\"ts\":1,\"type\":\"event\",\"data\":\"{}\"}}",
        "x".repeat(70_000)
    );
    let lines = [
        event("a", 1),
        "rubbish".to_owned(),
        "[1]".to_owned(),
        String::new(),
        r#"{"ts":1,"type":"event"}"#.to_owned(),
        r#"{"src":"","ts":1,"type":"event"}"#.to_owned(),
        r#"{"src":"a","type":"event"}"#.to_owned(),
        r#"{"src":"a","ts":1}"#.to_owned(),
        long,
        r#"{"type":"heartbeat"}"#.to_owned(),
        event("a", 2),
    ];
    let mut stream = TcpStream::connect(port(&sidecar)).unwrap();
    stream.write_all(lines.join("\r\n").as_bytes()).unwrap();
    stream.write_all(b"\n\xff\xfe\n").unwrap();
    // A last line without an end is one, where it is whole.
    stream.write_all(event("a", 3).as_bytes()).unwrap();
    drop(stream);
    let wanted = [event("a", 1), event("a", 2), event("a", 3)];
    assert_eq!(wait_for_lines(&field.path("out.jsonl"), 3), wanted);
    let reasons = [
        ("missing_src", 2),
        ("missing_ts", 1),
        ("missing_type", 1),
        ("not_json", 3),
        ("too_long", 1),
    ];
    let reasons = reasons.map(|(reason, count)| (reason.to_owned(), count));
    assert_eq!(dropped(&sidecar), reasons.into());
    let words = sidecar.lines();
    let about = words.iter().filter(|line| line["message"] == "a line is of no use");
    assert_eq!(about.count(), 1, "one word a second: {words:?}");
}

#[test]
fn the_name_of_a_source_cannot_leave_its_folder() {
    let (field, sidecar) = run("signals:
  tcp: { port: 0 }
  buffers: { flush_interval: 0 }
  backends: { out: { type: file, path: \"logs/{source}.jsonl\" } }
");
    let names = ["../../out", "/etc/x", "a/b", ".."];
    let lines: Vec<String> = names.iter().map(|name| event(name, 1)).collect();
    send(port(&sidecar), &lines);
    let files = wait_until("every source has a file", || {
        let entries = std::fs::read_dir(field.path("logs")).ok()?;
        let names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        (names.len() == 4).then_some(names)
    });
    assert!(files.iter().all(|name| !name.starts_with('.')), "{files:?}");
    assert!(!field.path("out.jsonl").exists() && !field.path("../out.jsonl").exists());
}

#[test]
fn a_sender_that_asks_is_told_which_lines_are_safe() {
    let (field, sidecar) = run(TO_A_FILE);
    let mut stream = BufReader::new(TcpStream::connect(port(&sidecar)).unwrap());
    let hello = "{\"type\":\"hello\",\"data\":{\"ack\":true}}\n";
    stream.get_mut().write_all(hello.as_bytes()).unwrap();
    let lines = format!("{}\nrubbish\n\n{}\n", event("a", 1), event("a", 2));
    stream.get_mut().write_all(lines.as_bytes()).unwrap();
    let mut last = String::new();
    while last != "{\"ack\":4}" {
        last = said(&mut stream);
        assert!(last.starts_with("{\"ack\":"), "{last}");
    }
    stream.get_mut().write_all(b"{\"type\":\"heartbeat\"}\n").unwrap();
    assert_eq!(said(&mut stream), "{\"ack\":5}");
    assert_eq!(wait_for_lines(&field.path("out.jsonl"), 2).len(), 2);
}

#[test]
fn a_thousand_sources_have_labels_and_the_rest_share_one() {
    let (field, sidecar) = run(TO_A_FILE);
    let lines: Vec<String> = (0..1100).map(|number| event(&format!("s{number}"), number)).collect();
    send(port(&sidecar), &lines);
    assert_eq!(wait_for_lines(&field.path("out.jsonl"), 1100).len(), 1100);
    assert_eq!(
        sidecar.metric("sidecar_messages_received_total{source=\"_other\"}"),
        100
    );
    assert_eq!(lines_of(&field.path("out.jsonl")).len(), 1100);
}
