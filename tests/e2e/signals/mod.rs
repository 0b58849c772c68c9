//! The telemetry plane, seen from outside: lines go in by its sockets, and come out where the configuration says.

mod backends;
mod checking;
mod deploy;
mod ending;
mod internal;
mod lines;
mod listeners;
mod reload;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
};

use crate::harness::{Field, Sidecar, Value, json, wait_until};

/// A configuration whose lines go to one file, `out.jsonl`, at once.
const TO_A_FILE: &str = "signals:
  tcp: { port: 0 }
  buffers: { flush_interval: 0 }
  backends: { out: { type: file, path: out.jsonl } }
";

/// Where lines are taken over TCP.
#[track_caller]
fn port(sidecar: &Sidecar) -> SocketAddr {
    wait_until("the log names the listener", || {
        sidecar.lines().iter().find_map(|line| {
            let is_it = line["message"] == "taking signals";
            is_it.then(|| line["address"].as_str()?.parse().ok())?
        })
    })
}

/// An event of a source, with a number in it.
fn event(source: &str, number: usize) -> String {
    json!({ "src": source, "ts": 1_700_000_000_000_u64, "type": "event", "data": { "level": "info", "n": number } })
        .to_string()
}

/// Sends lines and ends the connection.
fn send(address: SocketAddr, lines: &[String]) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .write_all((lines.join("\n") + "\n").as_bytes())
        .expect("it takes them");
}

/// The lines of a file so far.
fn lines_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until a file has this many lines, and gives them.
#[track_caller]
fn wait_for_lines(path: &Path, count: usize) -> Vec<String> {
    wait_until("the lines are in the file", || {
        let lines = lines_of(path);
        (lines.len() >= count).then_some(lines)
    })
}

/// How many lines were dropped, by reason, where any were.
#[track_caller]
fn dropped(sidecar: &Sidecar) -> BTreeMap<String, u64> {
    let (_, text) = sidecar.get("/metrics");
    let samples = text.lines().filter_map(|line| {
        let (reason, count) = line
            .strip_prefix("sidecar_messages_dropped_total{reason=\"")?
            .split_once("\"} ")?;
        Some((reason.to_owned(), count.parse().ok()?))
    });
    samples.filter(|(_, count)| *count > 0).collect()
}

/// What `/health` says.
#[track_caller]
fn health(sidecar: &Sidecar) -> Value {
    serde_json::from_str(&sidecar.get("/health").1).expect("JSON")
}

/// The next line that the other side says.
fn said(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

/// A sidecar on a configuration.
fn run(config: &str) -> (Field, Sidecar) {
    let field = Field::new(config);
    let sidecar = field.run();
    (field, sidecar)
}
