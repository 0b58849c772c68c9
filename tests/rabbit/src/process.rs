//! Processes by their ids: who lives, who stands still, who has ended.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

/// A process that may be somebody else's child; its start tells it from a later one of the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) pid: u32,
    pub(crate) started: u64,
}

/// Between two looks at a process.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

impl Known {
    /// The process that has this id now.
    pub(crate) fn now(pid: u32) -> anyhow::Result<Self> {
        let (_, started) = stat(pid).with_context(|| format!("process {pid} has ended"))?;
        Ok(Self { pid, started })
    }

    /// Whether it runs; one that has ended and waits to be collected does not.
    pub(crate) fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|(state, started)| started == self.started && !matches!(state, 'Z' | 'X'))
    }

    /// Ends it, and waits until it is gone: asks, and after `grace` asks no more.
    pub(crate) fn end(self, grace: Duration) -> anyhow::Result<()> {
        for (what, limit) in [(Signal::SIGTERM, grace), (Signal::SIGKILL, Duration::from_secs(30))] {
            if !self.is_alive() {
                return Ok(());
            }
            // It may end at this moment.
            let _ = send(self.pid, what);
            let asked = Instant::now();
            while self.is_alive() && asked.elapsed() < limit {
                thread::sleep(LOOK);
            }
        }
        ensure!(!self.is_alive(), "process {} does not end", self.pid);
        Ok(())
    }
}

/// Sends a signal to one process.
pub(crate) fn send(pid: u32, what: Signal) -> anyhow::Result<()> {
    let id = Pid::from_raw(i32::try_from(pid)?);
    signal::kill(id, what).with_context(|| format!("cannot send {what} to process {pid}"))
}

/// Whether every thread of a process stands still.
pub(crate) fn stands_still(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    let mut states = threads.flatten().map(|thread| parse(&thread.path().join("stat")));
    states.all(|found| matches!(found, Some(('T', _)) | None))
}

/// The letter of its state, and the moment of its start in ticks since the machine's.
fn stat(pid: u32) -> Option<(char, u64)> {
    parse(Path::new(&format!("/proc/{pid}/stat")))
}

fn parse(path: &Path) -> Option<(char, u64)> {
    let text = fs::read_to_string(path).ok()?;
    // The name in parentheses may hold anything; the state is the first word after it, the start the twentieth.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?.chars().next()?;
    Some((state, words.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio, id};

    use super::*;

    #[test]
    fn another_process_of_the_same_id_is_another() {
        let me = Known::now(id()).unwrap();
        assert!(me.is_alive());
        let earlier = Known {
            started: me.started - 1,
            ..me
        };
        assert!(!earlier.is_alive());
        earlier.end(Duration::ZERO).unwrap();
    }

    #[test]
    fn one_that_does_not_listen_is_ended_all_the_same() {
        let mut deaf = Command::new("sh")
            .args(["-c", "trap '' TERM; echo; read -r _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Read::read_exact(deaf.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let known = Known::now(deaf.id()).unwrap();
        known.end(Duration::from_millis(20)).unwrap();
        assert!(!known.is_alive());
        deaf.wait().unwrap();
    }
}
