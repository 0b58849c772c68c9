//! Processes by their ids, and conditions by their deadlines.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{self as signals, Signal},
    unistd::Pid,
};

/// How long a condition may take that ought to hold soon; machines under load are slow.
const SOON: Duration = Duration::from_mins(1);
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
    assert!(signal_if_there(pid, signal), "cannot send {signal} to process {pid}");
}

/// Sends a signal to one process that may have ended; says whether it was there.
pub(crate) fn signal_if_there(pid: u32, signal: Signal) -> bool {
    let pid = Pid::from_raw(i32::try_from(pid).expect("process ids fit an i32"));
    signals::kill(pid, signal).is_ok()
}

/// Stops a process, and waits until all of its threads stand still: the signal alone leaves them a last moment.
#[track_caller]
pub(crate) fn stop(pid: u32) {
    signal(pid, Signal::SIGSTOP);
    wait_until("every thread stands still", || {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process is there");
        let mut states = threads.map(|thread| state(&thread.expect("a thread").path().join("stat")));
        states.all(|state| matches!(state, Some('T') | None)).then_some(())
    });
}

/// Whether a process runs; one that has ended and waits to be collected does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    !matches!(state(Path::new(&format!("/proc/{pid}/stat"))), Some('Z' | 'X') | None)
}

/// The letter of a process's or thread's state; `None` where it is gone.
fn state(stat: &Path) -> Option<char> {
    let stat = fs::read_to_string(stat).ok()?;
    // The name in parentheses may hold anything, the state stands after it.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.chars().next()
}
