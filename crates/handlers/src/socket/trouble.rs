//! What can go wrong on one connection, before it is known what that means for the call.

use std::{io, time::Duration};

use crate::{BadAnswer, HandlerError, Side};

use super::{options::SocketOptions, reader::ReadError};

#[derive(Debug)]
pub(super) enum Trouble {
    /// It ended before all of the request was written.
    Unwritten(io::Error),
    /// It ended after that, and before any byte of a reply.
    Unanswered(io::Error),
    /// It ended between two frames of the reply.
    Lost(io::Error),
    /// No hello, or no answer to a ping, for that long.
    Mute(Duration),
    Timeout(Duration),
    Idle(Duration),
    Deadline(Duration),
    Bad(BadAnswer),
    TooLarge {
        whose: Side,
        bytes: u64,
    },
}

impl Trouble {
    /// Whether the same may be tried on a fresh connection: nothing has come back on this one.
    pub(super) fn is_before_any_answer(&self) -> bool {
        matches!(self, Self::Unwritten(_) | Self::Unanswered(_))
    }

    /// What it means for the call.
    pub(super) fn of_call(self, options: &SocketOptions) -> HandlerError {
        let handler = options.path.display().to_string();
        match self {
            Self::Unwritten(source) => HandlerError::Unreachable { handler, source },
            Self::Unanswered(source) | Self::Lost(source) => HandlerError::Lost { handler, source },
            Self::Mute(after) => HandlerError::Unreachable {
                handler,
                source: io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("it did not say hello within {after:?}"),
                ),
            },
            Self::Timeout(after) => HandlerError::Timeout { handler, after },
            Self::Idle(after) => HandlerError::Idle { handler, after },
            Self::Deadline(after) => HandlerError::Deadline { handler, after },
            Self::Bad(source) => HandlerError::BadReply { handler, source },
            Self::TooLarge { whose, bytes } => HandlerError::FrameTooLarge {
                handler,
                whose,
                bytes,
                cap: u64::from(options.max_frame),
            },
        }
    }

    /// What it means for a ping: there was no request, so none can have been lost.
    pub(super) fn of_ping(self, options: &SocketOptions) -> HandlerError {
        match self {
            Self::Mute(after) => Self::Timeout(after).of_call(options),
            Self::Unanswered(source) | Self::Lost(source) => Self::Unwritten(source).of_call(options),
            other => other.of_call(options),
        }
    }

    /// Where there is no request on the way.
    pub(super) fn of_read(error: ReadError, at_end: fn(io::Error) -> Self) -> Self {
        match error {
            ReadError::Ended(source) => at_end(source),
            ReadError::CutShort { got, of } => Self::Bad(BadAnswer::CutShort { got, of }),
            ReadError::TooLarge { bytes } => Self::TooLarge {
                whose: Side::Reply,
                bytes,
            },
        }
    }
}
