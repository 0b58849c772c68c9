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
        fs::create_dir_all(folder).map_err(|source| record.failed(source))?;
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
        let draft = self.path.with_extension("draft");
        let page = serde_json::to_vec(&self.page).expect("a page has no map keys that JSON lacks");
        fs::write(&draft, page)
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
        for (path, page) in pages(folder) {
            if page.owner.lives() {
                continue;
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
            let page = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
            Some((path, page))
        })
        .collect()
}

impl Process {
    fn lives(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started && !stat.ended)
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
}

/// The kernel's line on a process (proc(5), `/proc/pid/stat`): state, process group and start time.
fn stat(pid: i32) -> Option<Stat> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything, parentheses too.
    let mut fields = line.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(16)?.parse().ok()?;
    Some(Stat {
        group,
        started,
        ended: matches!(state, "Z" | "X"),
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
