//! A trace of the system calls of the process that owns the queue file: nothing is confirmed before it is on the disk.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use crate::{
    harness::{Field, Plain, Sidecar, Signal, signal, wait_until},
    line::foreign_on,
    trace::{self, Event},
};

/// Runs the binary under strace, which writes every call that moves or syncs bytes.
fn traced(field: &Field, words: &[&str], trace: &Path) -> Command {
    let mut command = Command::new("strace");
    command
        .args(["-f", "-yy", "-s", "8192", "-e", "signal=none", "-e"])
        .arg("trace=read,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,pwritev,fsync,fdatasync")
        .arg("-o")
        .arg(trace)
        .arg(env!("CARGO_BIN_EXE_outrigger"))
        .args(words);
    field.prepare(&mut command);
    command
}

/// An owner of the queue file that does nothing else: its handler is not there.
struct Owner {
    field: Field,
    strace: Sidecar,
    trace: PathBuf,
}

impl Owner {
    fn start() -> Self {
        let field = Field::new("queue: \"sqlite:shared.db\"\nactors: { idle: { handler: { socket: nobody.sock } } }");
        let trace = field.path("trace");
        let strace = Sidecar::start(traced(&field, &["run"], &trace), field.next_log());
        strace.admin();
        Self { field, strace, trace }
    }

    /// Asks the owner, not its tracer, to leave; gives the trace.
    fn finish(self) -> Vec<Event> {
        let children = format!("/proc/{0}/task/{0}/children", self.strace.pid());
        let children = std::fs::read_to_string(children).expect("strace has a child");
        let owner = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        signal(owner.expect("a process id"), Signal::SIGTERM);
        assert!(self.strace.ended(std::time::Duration::from_secs(30)).success());
        trace::read(&self.trace)
    }
}

/// Looks at every request in which `marker` came to the owner from another process: it has to be written to the log,
/// then synced, then answered. Gives the number of such requests.
#[track_caller]
fn synced_before_answered(events: &[Event], marker: &str) -> usize {
    let requests: Vec<&Event> = events
        .iter()
        .filter(|event| event.reads() && event.target.contains("STREAM") && event.text.contains(marker))
        .collect();
    for request in &requests {
        let written = events
            .iter()
            .find(|event| event.logs() && event.began > request.ended && event.text.contains(marker))
            .unwrap_or_else(|| panic!("{marker} never came to the log"));
        let synced = events
            .iter()
            .find(|event| event.syncs() && event.began > written.ended)
            .unwrap_or_else(|| panic!("{marker} was never synced"));
        let answered = events
            .iter()
            .find(|event| event.writes() && event.target == request.target && event.began > request.ended)
            .unwrap_or_else(|| panic!("{marker} was never answered"));
        assert!(
            synced.ended < answered.began,
            "{marker} was answered before it was synced:\n{}",
            told(events, request.ended, synced.ended)
        );
    }
    requests.len()
}

/// The calls between two lines of a trace.
fn told(events: &[Event], from: usize, to: usize) -> String {
    let between = events.iter().filter(|event| (from..=to).contains(&event.began));
    let line = |event: &Event| {
        let text: String = event.text.chars().take(200).collect();
        format!("{}-{} {}({text}\n", event.began, event.ended, event.name)
    };
    between.map(line).collect()
}

/// Traced: the owner, while `send`s of other processes come one by one and several at once.
/// Holds: the answer to a put is never written before a sync that follows the write of that put.
#[test]
fn a_put_of_another_process_is_synced_before_it_is_confirmed() {
    let owner = Owner::start();
    let send = |n: usize| owner.field.send("idle", &format!("m{n}"), &format!("\"marker-{n};\""));
    (1..=10).for_each(send);
    thread::scope(|scope| {
        for first in [11, 21, 31] {
            scope.spawn(move || (first..first + 10).for_each(send));
        }
    });
    let events = owner.finish();
    for n in 1..=40 {
        assert_eq!(
            synced_before_answered(&events, &format!("marker-{n};")),
            1,
            "one put of m{n}"
        );
    }
}

/// Traced: the owner, while another process forwards messages from its actor to happy-end through it.
/// Holds: the answer to a settle with outputs is never written before a sync that follows the write of the outputs.
#[test]
fn an_output_of_another_process_is_synced_before_its_input_is_settled() {
    let owner = Owner::start();
    let worker = foreign_on(&owner.field.path("shared.db"), "a");
    let _handler = Plain::at(&worker.path("a.sock"), |request| {
        let number = request.json()["n"].as_u64().expect("a number");
        crate::harness::Answer::text(format!("\"out-{number};\""))
    });
    let run = worker.run();
    for n in 1..=20 {
        worker.send("a", &format!("m{n}"), &format!("{{\"n\":{n}}}"));
        wait_until("it is at happy-end", || (worker.depth("happy-end") == n).then_some(()));
    }
    assert!(run.stop().success());
    let events = owner.finish();
    for n in 1..=20 {
        assert_eq!(
            synced_before_answered(&events, &format!("out-{n};")),
            1,
            "one output of m{n}"
        );
    }
}

/// Traced: a `send` that owns the file itself.
/// Holds: it prints the id after a sync that follows the write of the message.
#[test]
fn send_prints_an_id_after_its_message_was_synced() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    let trace = field.path("trace");
    let output = traced(
        &field,
        &["send", "a", "--id", "printed-id", "--payload", "\"marker\""],
        &trace,
    )
    .output()
    .expect("strace runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = trace::read(&trace);
    let written = events
        .iter()
        .find(|event| event.logs() && event.text.contains("printed-id"))
        .expect("it was written");
    let synced = events
        .iter()
        .find(|event| event.syncs() && event.began > written.ended)
        .expect("it was synced");
    let printed = events
        .iter()
        .find(|event| event.writes() && event.text.starts_with("1<") && event.text.contains("printed-id"))
        .expect("it was printed");
    assert!(
        synced.ended < printed.began,
        "printed on line {}, synced on line {}",
        printed.began,
        synced.ended
    );
}
