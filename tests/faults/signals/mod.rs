//! The telemetry plane under faults: killed, asked to leave, crowded, starved of disk and of memory, with backends of every
//! bad kind.
//!
//! Lines have numbers, so that each can be told from all others where it arrives: whole, once, twice or not at all.

mod arrived;
mod backends;
mod crowds;
mod full_disk;
mod kills;
mod leaving;
mod memory;
mod senders;
mod wrong_lines;

use std::{fs, io::Write, net::SocketAddr, net::TcpStream, sync::Mutex};

use crate::harness::{Sidecar, Value, wait_until};

/// What a plane may hold at least.
const LEAST_MEMORY_MB: u64 = 16;
/// What the process may take beside what its plane may hold.
const BESIDE_MIB: u64 = 30;
/// What a release has of its text in memory. A debug build has twice that; only so much of it is counted.
const TEXT_KIB: u64 = 17 * 1024;

/// Whoever opens hundreds of connections does so alone, so that the descriptors suffice.
static CROWD: Mutex<()> = Mutex::new(());

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

/// What `/health` says.
#[track_caller]
fn health(sidecar: &Sidecar) -> Value {
    serde_json::from_str(&sidecar.get("/health").1).expect("JSON")
}

/// Waits until `/health` says that a backend fails; gives the reason.
#[track_caller]
fn failing(sidecar: &Sidecar, backend: &str) -> String {
    wait_until(&format!("`{backend}` is seen to fail"), || {
        let health = health(sidecar);
        let backend = &health["backends"][backend];
        let reason = (backend["status"] == "failing").then(|| backend["reason"].as_str())?;
        reason.map(str::to_owned)
    })
}

/// The value of a counter or gauge of `/metrics`.
#[track_caller]
fn count(sidecar: &Sidecar, sample: &str) -> usize {
    usize::try_from(sidecar.metric(sample)).expect("a count")
}

/// Lines that were dropped for a reason.
#[track_caller]
fn dropped(sidecar: &Sidecar, reason: &str) -> usize {
    count(
        sidecar,
        &format!("sidecar_messages_dropped_total{{reason=\"{reason}\"}}"),
    )
}

/// Lines that wait for a backend.
#[track_caller]
fn waiting(sidecar: &Sidecar, backend: &str) -> usize {
    count(
        sidecar,
        &format!("sidecar_backend_buffer_size{{backend=\"{backend}\"}}"),
    )
}

/// Waits until nothing waits for a backend.
#[track_caller]
fn nothing_waits(sidecar: &Sidecar, backend: &str) {
    wait_until(&format!("nothing waits for `{backend}`"), || {
        (waiting(sidecar, backend) == 0).then_some(())
    });
}

/// Sends lines and ends the connection.
fn send(address: SocketAddr, text: &str) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(text.as_bytes()).expect("it takes them");
}

/// Says how much memory a process took at most, and fails where that is more than it may be.
#[track_caller]
fn stays_below_its_ceiling(sidecar: &Sidecar, what: &str) {
    let status = fs::read_to_string(format!("/proc/{}/status", sidecar.pid())).expect("the process is there");
    let kib = |name: &str| -> u64 {
        let found = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = found.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
        value.expect("a size in /proc/PID/status")
    };
    let (peak, text) = (kib("VmHWM"), kib("RssFile"));
    let counted = if cfg!(debug_assertions) {
        peak - text.saturating_sub(TEXT_KIB)
    } else {
        peak
    };
    let most = LEAST_MEMORY_MB + BESIDE_MIB;
    eprintln!(
        "{what}: {} MiB at most, {} MiB of them text; {} of {most} MiB count",
        peak >> 10,
        text >> 10,
        counted >> 10
    );
    assert!(counted <= most << 10, "{what}: {counted} KiB of {most} MiB");
}

/// How much more is done in the long rounds.
fn scale() -> usize {
    if is_long() { 10 } else { 1 }
}

/// Whether there is time for more.
fn is_long() -> bool {
    std::env::var_os("OUTRIGGER_FAULT_ROUNDS").is_some()
}
