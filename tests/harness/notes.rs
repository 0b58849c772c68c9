//! What handlers note of themselves in a file that they only append to: `start PID` and `call ACTOR ID PID ATTEMPT`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The notes of all handlers of a folder, in their order.
pub(crate) struct Notes {
    pub(crate) starts: Vec<u32>,
    pub(crate) calls: Vec<Call>,
}

/// One call of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) actor: String,
    pub(crate) id: String,
    pub(crate) pid: u32,
    /// Processes noted before this one that were alive at that moment.
    pub(crate) elders: usize,
}

impl Notes {
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut notes = Self {
            starts: Vec::new(),
            calls: Vec::new(),
        };
        for line in whole.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["start", pid] => notes.starts.push(pid.parse().expect("a process id")),
                ["call", actor, id, pid, elders] => notes.calls.push(Call {
                    actor: actor.to_owned(),
                    id: id.to_owned(),
                    pid: pid.parse().expect("a process id"),
                    elders: elders.parse().expect("a number"),
                }),
                _ => panic!("a note that nobody writes: {line}"),
            }
        }
        notes
    }

    /// Calls beyond the first of each message at each actor.
    pub(crate) fn repeated(&self) -> usize {
        let different: BTreeSet<_> = self.calls.iter().map(|call| (&call.actor, &call.id)).collect();
        self.calls.len() - different.len()
    }

    /// How often the handler was called for a message.
    pub(crate) fn calls_for(&self, id: &str) -> usize {
        self.calls.iter().filter(|call| call.id == id).count()
    }

    /// How often each message was called at an actor.
    pub(crate) fn at(&self, actor: &str) -> BTreeMap<&str, usize> {
        let mut calls = BTreeMap::new();
        for call in self.calls.iter().filter(|call| call.actor == actor) {
            *calls.entry(&*call.id).or_default() += 1;
        }
        calls
    }
}
