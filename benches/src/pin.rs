//! Which processor what is measured runs on.
//!
//! Where there are two or more, whoever asks the handler (the product, the floor, a proxy) has the first to itself and the
//! handler, and who asks a proxy, the second; where there is one, nothing is pinned.

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// A processor, or any.
#[derive(Debug, Clone, Copy)]
pub struct Cpu(Option<usize>);

/// Where each side of an exchange runs.
#[derive(Debug, Clone, Copy)]
pub struct Pins {
    /// The product, or the floor.
    pub asker: Cpu,
    /// The handler.
    pub handler: Cpu,
    /// What is said of them: `{asker}` and `{handler}` are the processors.
    story: &'static str,
}

impl Pins {
    /// Both wherever the system likes.
    pub const NONE: Self = Self {
        asker: Cpu::ANY,
        handler: Cpu::ANY,
        story: "",
    };

    /// As [`apart`](Self::apart), unless it is left to the system.
    pub fn unless(unpinned: bool, story: &'static str) -> Self {
        if unpinned { Self::NONE } else { Self::apart(story) }
    }

    /// One processor for each side; `story` says who is pinned, with `{asker}` and `{handler}` for the processors.
    pub fn apart(story: &'static str) -> Self {
        match &usable()[..] {
            [first, second, ..] => Self {
                asker: Cpu(Some(*first)),
                handler: Cpu(Some(*second)),
                story,
            },
            _ => Self::NONE,
        }
    }

    /// For the machine's line.
    pub fn describe(self) -> String {
        match (self.asker.0, self.handler.0) {
            (Some(asker), Some(handler)) => self
                .story
                .replace("{asker}", &asker.to_string())
                .replace("{handler}", &handler.to_string()),
            _ => "nothing pinned".to_owned(),
        }
    }
}

impl Cpu {
    /// Wherever the system likes.
    pub const ANY: Self = Self(None);

    /// Does something on this processor; processes that it starts stay there.
    pub fn with<T>(self, what: impl FnOnce() -> T) -> T {
        let this = Pid::from_raw(0);
        let before = sched_getaffinity(this).ok();
        let mut only = CpuSet::new();
        let pinned = self.0.is_some_and(|cpu| only.set(cpu).is_ok()) && sched_setaffinity(this, &only).is_ok();
        let done = what();
        if let Some(before) = before
            && pinned
        {
            // It was in force a moment ago.
            let _ = sched_setaffinity(this, &before);
        }
        done
    }
}

fn usable() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return Vec::new();
    };
    (0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
        .collect()
}
