//! Reads what `strace -f -yy` wrote: system calls with the lines on which they began and ended.

use std::{collections::HashMap, fs, path::Path};

/// One system call that has ended.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    /// The file or socket that it is about, as strace describes it.
    pub(crate) target: String,
    /// Its arguments and its result.
    pub(crate) text: String,
    /// The lines of the trace on which it began and ended.
    pub(crate) began: usize,
    pub(crate) ended: usize,
}

impl Event {
    /// Whether bytes came in.
    pub(crate) fn reads(&self) -> bool {
        ["read", "recvfrom", "recvmsg"].contains(&&*self.name)
    }

    /// Whether bytes went out to a socket or a stream, not to a place in a file.
    pub(crate) fn writes(&self) -> bool {
        ["write", "writev", "sendto", "sendmsg"].contains(&&*self.name)
    }

    /// Whether bytes were written to the queue's log.
    pub(crate) fn logs(&self) -> bool {
        ["pwrite64", "pwritev", "write"].contains(&&*self.name) && self.target.ends_with("-wal")
    }

    /// Whether the queue's log was brought to the disk.
    pub(crate) fn syncs(&self) -> bool {
        ["fsync", "fdatasync"].contains(&&*self.name) && self.target.ends_with("-wal") && self.text.ends_with("= 0")
    }
}

/// The calls of a trace that have ended, by the line on which they began.
pub(crate) fn read(path: &Path) -> Vec<Event> {
    let text = String::from_utf8_lossy(&fs::read(path).expect("a trace")).into_owned();
    let mut events = Vec::new();
    let mut open: HashMap<&str, (usize, String)> = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if let Some(begun) = call.strip_suffix("<unfinished ...>") {
            open.insert(thread, (number, begun.to_owned()));
        } else if let Some((_, rest)) = call.strip_prefix("<... ").and_then(|call| call.split_once(" resumed>")) {
            if let Some((began, begun)) = open.remove(thread) {
                events.extend(event(&(begun + rest), began, number));
            }
        } else {
            events.extend(event(call, number, number));
        }
    }
    events.sort_by_key(|event| event.began);
    events
}

fn event(call: &str, began: usize, ended: usize) -> Option<Event> {
    let (name, arguments) = call.split_once('(')?;
    // A socket's description holds an arrow, which a digit follows.
    let (_, described) = arguments.split_once('<')?;
    let end = [">,", ">)", "> "].iter().filter_map(|end| described.find(end)).min()?;
    Some(Event {
        name: name.to_owned(),
        target: described[..end].to_owned(),
        text: arguments.to_owned(),
        began,
        ended,
    })
}
