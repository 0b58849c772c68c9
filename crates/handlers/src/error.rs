//! What can go wrong between us and a handler, and what that means.
//!
//! An error *in* the user's code is not one of these: that is a reply (`wire::Reply::Fault`).

use std::{io, time::Duration};

use chassis::guard::{Judge, Verdict};

/// Why an exchange brought no reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// Nobody took the whole request: the connect was refused, or the connection ended before all was written.
    /// Counted as nothing.
    #[error("handler {handler} cannot be reached")]
    Unreachable {
        /// Its address.
        handler: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection ended after the request was written and before the final reply began.
    #[error("handler {handler} closed the connection before it had answered")]
    Lost {
        /// Its address.
        handler: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No final reply within the timeout.
    #[error("handler {handler} did not answer within {after:?}")]
    Timeout {
        /// Its address.
        handler: String,
        /// From the write of the request.
        after: Duration,
    },
    /// Neither an interim nor a final reply within the idle timeout.
    #[error("handler {handler} was silent for {after:?}")]
    Idle {
        /// Its address.
        handler: String,
        /// From the last frame, or the write of the request.
        after: Duration,
    },
    /// The message's deadline passed before there was a final reply.
    #[error("handler {handler} had not answered when the deadline passed, after {after:?}")]
    Deadline {
        /// Its address.
        handler: String,
        /// From the write of the request; zero when the deadline had passed before and nothing was written.
        after: Duration,
    },
    /// It answered with something that is no reply.
    #[error("handler {handler} gave an answer that is no reply")]
    BadReply {
        /// Its address.
        handler: String,
        /// What is wrong with it.
        #[source]
        source: BadAnswer,
    },
    /// A frame over the cap.
    #[error("{whose} of {bytes} bytes is over the cap of {cap} bytes for handler {handler}")]
    FrameTooLarge {
        /// Its address.
        handler: String,
        /// Whose frame it is.
        whose: Side,
        /// The frame's length.
        bytes: u64,
        /// The longest that is taken.
        cap: u64,
    },
}

/// Whose frame was too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Ours; nothing was written.
    Request,
    /// The handler's; the connection is closed.
    Reply,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Request => "a request",
            Self::Reply => "a reply",
        })
    }
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadAnswer {
    /// The frame is whole, but what it says is no reply.
    #[error(transparent)]
    Content(#[from] wire::BadReply),
    /// The connection ended within a frame.
    #[error("the connection ended {got} bytes into a frame{}", of.map(|of| format!(" of {of}")).unwrap_or_default())]
    CutShort {
        /// Bytes that came, the length in front not counted where it is known.
        got: u64,
        /// The frame's length, where that much had come.
        of: Option<u64>,
    },
    /// A control frame where the handler may send none.
    #[error("it sent a control frame, but has not said hello")]
    Control,
    /// A control frame that cannot be read.
    #[error("the handler sent a control frame that cannot be read")]
    BadControl {
        /// What is wrong with it.
        #[source]
        source: wire::BadControl,
    },
    /// An HTTP handler's bytes are no HTTP.
    #[error("it does not answer in HTTP/1.1")]
    NotHttp {
        /// Where it breaks.
        #[source]
        source: hyper::Error,
    },
    /// An HTTP status that is neither a result nor a failure.
    #[error("status {status} is no answer: {why}")]
    Status {
        /// The status.
        status: u16,
        /// What a handler answers instead.
        why: &'static str,
    },
    /// A stream of frames that ended as it should, but for the last one.
    #[error("its stream ended without a final frame")]
    Unfinished,
    /// A frame before anything was asked.
    #[error("it sent a frame before there was a request")]
    Unasked,
}

impl HandlerError {
    /// The reserved code that an error record has for it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => wire::code::HANDLER_LOST,
            Self::Timeout { .. } | Self::Idle { .. } => wire::code::TIMEOUT,
            Self::Deadline { .. } => wire::code::DEADLINE_EXCEEDED,
            Self::BadReply { .. } => wire::code::BAD_REPLY,
            Self::FrameTooLarge { .. } => wire::code::FRAME_TOO_LARGE,
        }
    }
}

impl Judge for HandlerError {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => Verdict::Transient { after: None },
            Self::Timeout { .. }
            | Self::Idle { .. }
            | Self::Deadline { .. }
            | Self::BadReply { .. }
            | Self::FrameTooLarge { .. } => Verdict::Terminal,
        }
    }
}
