//! The note that one `up` leaves for the next: which process groups are its own.
//!
//! An `up` that was killed cannot stop its handlers. The kernel ends each of them, but not what they started
//! themselves. The next `up` takes nothing before the whole of those groups is gone, and helps them to go.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use tracing::warn;

/// Why the note could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep the record of handler processes in {}", .path.display())]
pub struct RecordError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The note of this `up`; the file goes when it is dropped.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    page: Page,
}

#[derive(Debug, Serialize, Deserialize)]
struct Page {
    owner: Process,
    sockets: PathBuf,
    groups: Vec<Process>,
}

/// A process, told apart from a later one of the same number by the time it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Process {
    pid: i32,
    started: u64,
}

const GONE_POLL: Duration = Duration::from_millis(20);

impl Record {
    /// Opens the note of this process in `folder`, which is made where it is missing.
    ///
    /// `sockets` is the folder of our handlers' sockets; whoever finds the note after our death removes it.
    pub fn open(folder: &Path, sockets: &Path) -> Result<Self, RecordError> {
        let pid = Pid::this().as_raw();
        let owner = Process {
            pid,
            started: stat(pid).map_or(0, |stat| stat.started),
        };
        let path = folder.join(format!("up-{pid}.json"));
        let record = Self {
            path,
            page: Page {
                owner,
                sockets: sockets.to_owned(),
                groups: Vec::new(),
            },
        };
        record.write()?;
        Ok(record)
    }

    /// Notes a process group that was just started, by its leader.
    pub(crate) fn add(&mut self, group: u32) -> Result<(), RecordError> {
        let pid = i32::try_from(group).expect("process ids fit an i32");
        self.page.groups.push(Process {
            pid,
            started: stat(pid).map_or(0, |stat| stat.started),
        });
        self.write()
    }

    /// Strikes a group out that has ended.
    pub(crate) fn remove(&mut self, group: u32) {
        self.page
            .groups
            .retain(|process| i64::from(process.pid) != i64::from(group));
        if let Err(error) = self.write() {
            // A group too many is harmless: the next `up` sees that it is gone.
            warn!(%error, "record of handler processes not brought up to date");
        }
    }

    fn write(&self) -> Result<(), RecordError> {
        let folder = self.path.parent().expect("the path was joined to a folder");
        let draft = self.path.with_extension("draft");
        let page = serde_json::to_vec(&self.page).expect("a page has no map keys that JSON lacks");
        // Whoever tidies up may have taken the folder while we run.
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&draft, page))
            .and_then(|()| fs::rename(&draft, &self.path))
            .map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> RecordError {
        RecordError {
            path: self.path.clone(),
            source,
        }
    }

    /// Waits until no handler of an `up` that has died is left, ending those that are; says how many there were.
    ///
    /// # Cancellation
    /// Dropping the future leaves what was not yet ended for the next call.
    pub async fn clear_leftovers(folder: &Path) -> usize {
        let mut cleared = 0;
        for (path, mut page) in pages(folder) {
            if page.owner.lives() {
                if !page.owner.is_dying() {
                    continue;
                }
                while page.owner.lives() {
                    tokio::time::sleep(GONE_POLL).await;
                }
                // It may have written once more.
                page = read(&path).unwrap_or(page);
            }
            for group in &page.groups {
                if !group.lives_as_group() {
                    continue;
                }
                cleared += 1;
                warn!(
                    group = group.pid,
                    "a handler of an earlier run is still there, ending it"
                );
                while group.lives_as_group() {
                    let _ = killpg(Pid::from_raw(group.pid), Signal::SIGKILL);
                    tokio::time::sleep(GONE_POLL).await;
                }
            }
            let _ = fs::remove_dir_all(&page.sockets);
            let _ = fs::remove_file(path);
        }
        cleared
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn pages(folder: &Path) -> Vec<(PathBuf, Page)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter_map(|path| {
            let page = read(&path)?;
            Some((path, page))
        })
        .collect()
}

fn read(path: &Path) -> Option<Page> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

impl Process {
    fn lives(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started && !stat.ended)
    }

    /// Whether its end is certain and has not come yet: it was killed a moment ago, or is on its way out.
    fn is_dying(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.dying)
    }

    /// Whether any process of the group is left. A number that now names another process is not the group: the
    /// kernel gives no number out again while a group bears it.
    fn lives_as_group(self) -> bool {
        if stat(self.pid).is_some_and(|leader| leader.started != self.started) {
            return false;
        }
        all_stats().any(|stat| stat.group == self.pid && !stat.ended)
    }
}

struct Stat {
    group: i32,
    started: u64,
    ended: bool,
    dying: bool,
}

/// The flag of a process that is on its way out (`PF_EXITING`).
const EXITING: u64 = 0x4;
/// SIGKILL in a set of signals.
const KILLED: u64 = 1 << (Signal::SIGKILL as u64 - 1);

fn stat(pid: i32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The kernel's line on a process (proc(5), `/proc/pid/stat`): state, process group, flags, start time, and the signals
/// that wait for it.
fn parse(line: &str) -> Option<Stat> {
    // The second field is the program's name in parentheses and may hold anything, parentheses too.
    let mut fields = line.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    let flags: u64 = fields.nth(3)?.parse().ok()?;
    let started = fields.nth(12)?.parse().ok()?;
    let waiting: u64 = fields.nth(8)?.parse().ok()?;
    Some(Stat {
        group,
        started,
        ended: matches!(state, "Z" | "X"),
        dying: flags & EXITING != 0 || waiting & KILLED != 0,
    })
}

fn all_stats() -> impl Iterator<Item = Stat> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::CommandExt, process::Command};

    use super::*;

    #[test]
    fn a_process_is_told_apart_by_its_start() {
        let me = Pid::this().as_raw();
        let started = stat(me).unwrap().started;
        assert!(Process { pid: me, started }.lives());
        assert!(
            !Process {
                pid: me,
                started: started + 1
            }
            .lives()
        );
    }

    #[test]
    fn one_that_was_killed_or_leaves_is_dying_and_one_that_sleeps_is_not() {
        let line = |state: &str, flags: u64, waiting: u64| {
            format!("7 (a) b) {state} 1 7 7 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 9 0 1234 0 0 0 0 0 0 0 0 {waiting} 0 0\n")
        };
        let read = |line: String| {
            let stat = parse(&line).unwrap();
            assert_eq!((stat.group, stat.started), (7, 1234));
            (stat.ended, stat.dying)
        };
        assert_eq!(read(line("S", 0x40_0100, 0)), (false, false));
        assert_eq!(
            read(line("S", 0x40_0100, 1 << 14)),
            (false, false),
            "SIGTERM can be handled"
        );
        assert_eq!(read(line("R", 0x40_0100, 1 << 8)), (false, true));
        assert_eq!(read(line("D", 0x40_0104, 0)), (false, true));
        assert_eq!(read(line("Z", 0x40_0104, 0)), (true, true));
    }

    #[test]
    fn the_kernels_own_line_is_read() {
        let me = stat(Pid::this().as_raw()).unwrap();
        assert_eq!(me.group, nix::unistd::getpgrp().as_raw());
        assert!(!me.ended && !me.dying);
        let mut child = Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        // Nobody has waited for it, so the kernel keeps its line.
        while !stat(pid).unwrap().ended {
            std::thread::yield_now();
        }
        assert!(stat(pid).unwrap().dying, "the flag of the way out stays");
        child.wait().unwrap();
    }

    #[test]
    fn the_note_is_written_where_its_folder_was_removed_meanwhile() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("state/run");
        let mut record = Record::open(&folder, Path::new("sockets")).unwrap();
        fs::remove_dir_all(state.path().join("state")).unwrap();
        record.add(1).unwrap();
        assert_eq!(pages(&folder).len(), 1);
    }

    #[tokio::test]
    async fn what_a_dead_owner_left_behind_is_ended_and_what_a_live_one_runs_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let sockets = tempfile::tempdir().unwrap();
        let run = || Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let (mut orphan, mut other) = (run(), run());

        let mut dead = Record::open(folder.path(), sockets.path()).unwrap();
        dead.add(orphan.id()).unwrap();
        dead.page.owner.started += 1;
        dead.path = folder.path().join("up-dead.json");
        dead.write().unwrap();
        let mut live = Record::open(folder.path(), sockets.path()).unwrap();
        live.add(other.id()).unwrap();

        assert_eq!(Record::clear_leftovers(folder.path()).await, 1);
        assert!(orphan.wait().unwrap().code().is_none(), "ended by a signal");
        assert!(other.try_wait().unwrap().is_none(), "still running");
        assert!(!dead.path.exists());
        assert!(live.path.exists());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
