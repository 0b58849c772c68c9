//! What a session asks of the engine and what it is told, whether over a channel or a socket.
//!
//! The rule: every request can be sent again to the next owner, and is then done once.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    fault::Fault,
    ledger::{Mark, Seq},
};
use crate::{Browsed, Put, QueueSpec, QueueStats, Settle};

/// The version of the frames; another one is refused at the hello.
pub(super) const VERSION: u16 = 1;

/// The largest body.
pub(super) const MAX_BODY: u64 = 256 << 20;

/// The number of what is said or told without being asked. A refusal for good under it is meant for every consumer.
pub(super) const UNASKED: u64 = 0;

/// One message, given out once: what a settle names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Claim {
    pub(super) seq: Seq,
    pub(super) token: u64,
}

/// A session's wish.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Declare(Vec<QueueSpec>),
    Exists(Arc<str>),
    /// `answered`: every request of this session below it has its answer.
    Put {
        answered: u64,
        messages: Vec<Put>,
    },
    Consume {
        consumer: u64,
        queue: Arc<str>,
        credit: u64,
    },
    Credit {
        consumer: u64,
        credit: u64,
    },
    /// The consumer is gone.
    End {
        consumer: u64,
    },
    /// Answered after everything that can be given to the session's consumers was.
    Poll,
    Settle {
        claim: Claim,
        how: Settle,
    },
    Forward {
        claim: Claim,
        outputs: Vec<Put>,
    },
    Stats,
    Browse {
        queue: Arc<str>,
        after: Option<u64>,
        limit: u64,
    },
    Take {
        queue: Arc<str>,
        position: u64,
    },
    /// Everything this session holds, and the consumer it came through: claims of it that are not here go back.
    Present(Vec<(Claim, u64)>),
    /// Still alive.
    Renew,
    /// The session ends; what it still holds goes back, counted.
    Leave,
    /// The writer panics.
    #[cfg(test)]
    Panic,
}

/// What the engine tells a session.
#[derive(Debug)]
pub(super) enum Answer {
    Given(Given),
    Reply(u64, Reply),
}

/// A message for one of the session's consumers.
#[derive(Debug)]
pub(super) struct Given {
    /// Zero: asked for by its position.
    pub(super) consumer: u64,
    pub(super) claim: Claim,
    pub(super) mark: Mark,
    pub(super) body: Bytes,
}

/// The answer to one request.
#[derive(Debug)]
pub(super) enum Reply {
    Done,
    Exists(bool),
    Stats(Vec<QueueStats>),
    Browsed(Vec<Browsed>),
    Taken(Option<Given>),
    Refused(Fault),
}
