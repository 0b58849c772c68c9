//! What can go wrong on one connection, before it is known what that means for the call.
//!
//! The same for every dialect: a connection says what it met, and only here that becomes an error of the call.

use std::{io, time::Duration};

use crate::{BadAnswer, HandlerError, Side};

#[derive(Debug)]
pub(crate) enum Trouble {
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
    pub(crate) fn is_before_any_answer(&self) -> bool {
        matches!(self, Self::Unwritten(_) | Self::Unanswered(_))
    }

    /// What it means for the call to the handler with this address, whose frames have this cap.
    pub(crate) fn of_call(self, handler: String, cap: u32) -> HandlerError {
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
                cap: u64::from(cap),
            },
        }
    }

    /// What it means for a ping: there was no request, so none can have been lost.
    pub(crate) fn of_ping(self, handler: String, cap: u32) -> HandlerError {
        let same = match self {
            Self::Mute(after) => Self::Timeout(after),
            Self::Unanswered(source) | Self::Lost(source) => Self::Unwritten(source),
            other => other,
        };
        same.of_call(handler, cap)
    }
}
