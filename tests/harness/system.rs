//! Processes by their ids, and conditions by their deadlines.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{self as signals, Signal},
    unistd::Pid,
};

/// How long a condition may take that ought to hold soon; machines under load are slow.
const SOON: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until `look` finds something; fails the test with `what` after a minute.
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(SOON, what, look)
}

/// Waits until `look` finds something; fails the test with `what` after `limit`.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(LOOK);
    }
}

/// Sends a signal to one process.
#[track_caller]
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("process ids fit an i32"));
    if let Err(error) = signals::kill(pid, signal) {
        panic!("cannot send {signal} to process {pid}: {error}");
    }
}

/// Whether a process runs; one that has ended and waits to be collected does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The name in parentheses may hold anything, the state stands after it.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}
