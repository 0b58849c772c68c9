//! `ipc-rust`: how long a call of a Rust program on the Unix socket takes, one at a time.
//!
//! The floor is the same program with the same lines and nobody between: whoever it calls gives them back. Ours has to pass a call
//! on to a handler, so a line travels twice as far; a bare program that does just that is its peer, `relay`.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
};

use anyhow::ensure;
use benches::{
    case::{Case, Stage, in_turn, rest},
    clock,
    figures::{float, median, percentile},
    peer::Killed,
    pin::Cpu,
    report::Row,
    run::program,
};

use crate::site::Site;

/// Calls on a Unix socket.
#[derive(Default)]
pub(crate) struct Ipc {
    ours: Vec<f64>,
    floor: Vec<f64>,
    relay: Vec<f64>,
    /// The 99th percentile of ours.
    p99: Vec<f64>,
}

/// Calls whoever it starts: the median and the 99th percentile in microseconds.
type Way = fn(&Stage) -> anyhow::Result<[f64; 2]>;

/// Calls of a measurement, and those before them that are the warm-up.
const CALLS: (usize, usize) = (10_000, 2_000);
/// Bytes of the arguments.
const ARGUMENTS: usize = 1024;

impl Case for Ipc {
    fn names(&self) -> &[&'static str] {
        &["ipc-rust"]
    }

    fn round(&mut self, stage: &Stage, round: u32) -> anyhow::Result<String> {
        let ways: [Way; 3] = [ours, floor, relay];
        let mut found = [[0.0; 2]; 3];
        for place in in_turn(&[0, 1, 2], round) {
            found[place] = ways[place](stage)?;
            rest();
        }
        let [[ours, p99], [floor, _], [relay, _]] = found;
        self.ours.push(ours);
        self.p99.push(p99);
        self.floor.push(floor);
        self.relay.push(relay);
        Ok(format!(
            "p50 {ours:.1} us, p99 {p99:.1} us, floor {floor:.1} us, relay {relay:.1} us"
        ))
    }

    fn rows(&self) -> Vec<Row> {
        let note = format!("p99 {:.1} us; relay: a bare program between", median(&self.p99));
        let row = Row::new("ipc-rust", "us", median(&self.ours), note).beside(median(&self.floor));
        vec![row.among([("relay", median(&self.relay))].into_iter())]
    }
}

fn ours(stage: &Stage) -> anyhow::Result<[f64; 2]> {
    let site = Site::start(stage)?;
    let found = stage.pins.handler.with(|| call(&site.socket(), "{\"success\":true,"))?;
    site.stop()?;
    Ok(found)
}

fn floor(stage: &Stage) -> anyhow::Result<[f64; 2]> {
    let folder = tempfile::Builder::new().prefix("calls-").tempdir_in(&stage.folder)?;
    let socket = folder.path().join("echo.sock");
    let _echo = lines(&[&socket], stage.pins.asker)?;
    stage.pins.handler.with(|| call(&socket, "{\"function\":"))
}

fn relay(stage: &Stage) -> anyhow::Result<[f64; 2]> {
    let folder = tempfile::Builder::new().prefix("calls-").tempdir_in(&stage.folder)?;
    let [socket, further] = ["relay.sock", "echo.sock"].map(|name| folder.path().join(name));
    let _echo = lines(&[&further], stage.pins.handler)?;
    let _relay = lines(&[&socket, &further], stage.pins.asker)?;
    stage.pins.handler.with(|| call(&socket, "{\"function\":"))
}

fn lines(sockets: &[&Path], cpu: Cpu) -> anyhow::Result<Killed> {
    let mut command = Command::new(program("calls-lines")?);
    let (process, line) = Killed::announced(command.args(sockets), cpu)?;
    ensure!(line == "listening", "calls-lines said `{line}`");
    Ok(process)
}

/// Calls whoever is at the socket, whose answers begin in this way; the median and the 99th percentile in microseconds.
fn call(socket: &Path, beginning: &str) -> anyhow::Result<[f64; 2]> {
    let mut stream = UnixStream::connect(socket)?;
    let text = "x".repeat(ARGUMENTS - "[\"\"]".len());
    let line = format!("{{\"function\":\"echo\",\"args\":[\"{text}\"]}}\n");
    let mut answer = vec![0; 4 * ARGUMENTS];
    let mut times = Vec::with_capacity(CALLS.0);
    for number in 0..CALLS.0 + CALLS.1 {
        let begun = clock::now();
        stream.write_all(line.as_bytes())?;
        let mut filled = 0;
        while filled == 0 || answer[filled - 1] != b'\n' {
            let count = stream.read(&mut answer[filled..])?;
            ensure!(count > 0, "the connection was closed before an answer");
            filled += count;
        }
        let taken = clock::now() - begun;
        let answer = String::from_utf8_lossy(&answer[..filled]);
        ensure!(
            answer.starts_with(beginning) && answer.contains(&text),
            "the answer was {answer}"
        );
        if number >= CALLS.1 {
            times.push(float(taken) / 1e3);
        }
    }
    Ok([50, 99].map(|percent| percentile(&times, percent)))
}
