//! `payload-100mb`: one message with a payload of 100 MB through the message plane, on a `memory:` queue.
//!
//! Ours: a process of its own for each round, `hop-payload`, from the put to the take at the happy end; its connection
//! to the handler has been used once before. The floor: the same payload out and back on a bare socket that has been used
//! once before, into memory that is reserved beforehand. The handler is the same process for both, its buffer as large as
//! the frame already.

use std::{
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use benches::message;

use crate::{
    PATIENCE,
    case::{Case, Stage, interleave},
    echo::Echo,
    figures::median,
    floor,
    product::Site,
    program,
    report::Row,
};

/// Time, and memory over idle.
#[derive(Default)]
pub(crate) struct Payload {
    ours: Vec<f64>,
    floor: Vec<f64>,
    /// Megabytes, of a million bytes.
    over_idle: Vec<f64>,
}

/// The payload's bytes.
const LENGTH: usize = 100_000_000;

impl Case for Payload {
    fn names(&self) -> &[&'static str] {
        &["payload-100mb"]
    }

    fn round(&mut self, stage: &Stage, round: u32) -> anyhow::Result<String> {
        let site = Site::new(&stage.folder)?;
        let socket = site.socket("a");
        let _echo = Echo::open(&socket, stage.pins.handler)?;
        // The handler makes room once, for whoever comes first.
        bare(&socket)?;
        let floor = || stage.pins.asker.with(|| bare(&socket));
        let (floor, (ours, over_idle)) = interleave(round, floor, || product(stage, &socket))?;
        self.floor.push(floor);
        self.ours.push(ours);
        self.over_idle.push(over_idle);
        Ok(format!(
            "{ours:.0} ms, floor {floor:.0} ms, {over_idle:.0} MB over idle"
        ))
    }

    fn rows(&self) -> Vec<Row> {
        let over_idle = median(&self.over_idle);
        let note = format!("peak memory {over_idle:.0} MB over idle, the message itself included");
        let row = Row::new(self.names()[0], "ms", median(&self.ours), note);
        vec![row.beside(median(&self.floor))]
    }
}

fn bare(socket: &Path) -> anyhow::Result<f64> {
    let payload = message::payload(LENGTH);
    let mut answer = Vec::with_capacity(LENGTH);
    let mut stream = floor::connect(socket)?;
    floor::exchange(&mut stream, b"\"warm\"", &mut answer)?;
    let begun = Instant::now();
    floor::exchange(&mut stream, &payload, &mut answer)?;
    let taken = begun.elapsed();
    ensure!(answer == payload, "another payload came back");
    Ok(taken.as_secs_f64() * 1e3)
}

fn product(stage: &Stage, socket: &Path) -> anyhow::Result<(f64, f64)> {
    let mut command = Command::new(program("hop-payload")?);
    command
        .arg(socket)
        .arg(LENGTH.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut process = stage
        .pins
        .asker
        .with(|| command.spawn())
        .context("cannot start hop-payload")?;
    let begun = Instant::now();
    while process.try_wait()?.is_none() {
        if begun.elapsed() > PATIENCE {
            process.kill()?;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = process.wait_with_output()?;
    ensure!(output.status.success(), "hop-payload ended with {}", output.status);
    let words = String::from_utf8(output.stdout)?;
    let (nanos, kib) = words
        .trim()
        .split_once(' ')
        .context("hop-payload said something else")?;
    let (nanos, kib): (f64, f64) = (nanos.parse()?, kib.parse()?);
    Ok((nanos / 1e6, kib * 1024.0 / 1e6))
}
