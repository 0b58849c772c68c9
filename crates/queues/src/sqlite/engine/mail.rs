//! What comes to the writer, and what it makes of it.

use std::sync::Arc;

use super::{
    super::{
        fault::Fault,
        protocol::{Answer, Request},
    },
    Heard,
};

/// Where a session's answers go.
pub(in super::super) trait Sink: Send + Sync {
    /// Takes answers in their order. Must not block.
    fn send(&self, answers: Vec<Answer>);
    /// Ends the connection.
    fn cut(&self);
}

/// What comes to the writer.
pub(in super::super) enum Mail {
    /// A session arrived; requests of an older connection of the same holder are void from here on.
    Joined {
        connection: u64,
        holder: u64,
        sink: Arc<dyn Sink>,
        /// `None` in the writer's own process.
        heard: Option<Arc<Heard>>,
    },
    /// A connection ended.
    Left(u64),
    /// A session asks.
    Asked(Asked),
    /// How many messages each queue had at the start.
    Counted(Result<Vec<(usize, i64)>, Fault>),
    /// Let the file go.
    Stop,
    /// A fault that a test stages.
    Staged(Staged),
}

/// Faults that tests stage in the writer itself.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Staged {
    /// It ends at once, as in a process that is killed.
    Crash,
    /// The disk is full for so many settles.
    FailSettles(u32),
}

/// One request of one connection.
#[derive(Debug, Clone)]
pub(in super::super) struct Asked {
    pub(in super::super) connection: u64,
    pub(in super::super) id: u64,
    pub(in super::super) request: Request,
}

/// One thing to do in a transaction.
#[derive(Debug, Clone)]
pub(super) enum Work {
    Ask(Asked),
    /// A holder is gone, or silent for too long: what it has goes back, counted.
    GiveBack(u64),
    /// What a dead holder's requests were is of no use any more.
    Forget(u64),
    /// A queue that nobody consumes may be over its retention.
    Trim(usize),
}
