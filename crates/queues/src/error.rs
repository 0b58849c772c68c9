//! What can go wrong with a queue, each with its cure in the text where there is one.

use std::path::PathBuf;

/// A queue did not do what it was asked.
///
/// [`transient`](QueueError::is_transient) ones pass when the disk has room again or the broker is back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The URL names no transport that this build has.
    #[error("queue URL `{url}` is not understood: {why}")]
    BadUrl {
        /// The URL as it was given, password masked.
        url: String,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// Nobody declared the queue.
    #[error("queue `{queue}` does not exist")]
    NoQueue {
        /// The queue's full name.
        queue: String,
    },
    /// The body is over the transport's limit.
    #[error("a message of {bytes} bytes is over the limit of {limit} bytes for queue `{queue}`")]
    TooLarge {
        /// The queue's full name.
        queue: String,
        /// The body's size.
        bytes: u64,
        /// The transport's limit.
        limit: u64,
    },
    /// The delivery ran out of its lease and was given out again; nothing was written.
    #[error("the delivery's lease was lost: the message was given out again")]
    LeaseLost,
    /// The transport cannot do this.
    #[error("{transport} queues cannot {what}")]
    Unsupported {
        /// The transport's name.
        transport: &'static str,
        /// What was asked, as a verb.
        what: &'static str,
    },
    /// The disk has no room; everything stays as it is and goes on by itself when there is some.
    #[error("the disk that holds {} is full", .path.display())]
    Full {
        /// The queue's file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: BoxError,
    },
    /// The file cannot be used: corrupt, read-only, from a newer version, not ours.
    #[error("queue file {} cannot be used: {why}", .path.display())]
    Unusable {
        /// The queue's file.
        path: PathBuf,
        /// What is wrong, and the cure.
        why: String,
        /// The system's words.
        #[source]
        source: Option<BoxError>,
    },
    /// The broker says no, and will say so again until somebody changes that.
    #[error("{what}: {cure}")]
    Refused {
        /// What was refused, with the broker's words.
        what: String,
        /// What to do about it.
        cure: String,
        /// Why.
        #[source]
        source: Option<BoxError>,
    },
    /// The transport does not answer for now.
    #[error("the queue is not available: {why}")]
    Unavailable {
        /// What was attempted.
        why: String,
        /// Why it failed.
        #[source]
        source: Option<BoxError>,
    },
    /// The queue was closed by this process.
    #[error("the queue is closed")]
    Closed,
}

/// Any error below ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl QueueError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Unavailable { .. })
    }
}
