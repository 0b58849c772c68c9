//! What can be wrong with a handler, in words for whoever writes its runtime.
//!
//! The rule: each trouble says what was seen, and where the way it went wrong points at a cause by itself, which.

use std::{io, time::Duration};

use wire::{BadControl, BadReply};

use super::pattern::Mismatch;
use crate::human;

/// Why a step did not go as its vector has it.
#[derive(Debug)]
pub enum Trouble {
    /// Nobody took the connection.
    Refused(io::Error),
    /// Nothing came.
    Silent(Duration),
    /// What was sent was not read.
    Unread(Duration),
    /// The connection ended between two frames.
    Ended,
    /// The connection ended inside of a frame.
    CutShort {
        /// The bytes of it that came.
        came: usize,
        /// The bytes that it was to have.
        of: usize,
    },
    /// The connection broke.
    Broken(io::Error),
    /// A frame is longer than any may be.
    TooLong(u32),
    /// A reply came where a control frame was expected.
    NotControl(String),
    /// A control frame came where a reply was expected.
    NotReply(String),
    /// A connection that begins with another control frame, or with another protocol's hello.
    NoHello(String),
    /// A control frame that is none.
    BadControl(BadControl, String),
    /// A reply that the sidecar would refuse.
    BadReply(BadReply, String),
    /// A frame that is not the right one.
    Differs(Mismatch, String),
    /// The right frames in another order.
    Order(Vec<String>, Vec<String>),
    /// A frame that nothing was to follow.
    Extra(String),
    /// Functions that the hello does not name.
    Missing(Vec<String>),
}

impl Trouble {
    /// What was expected, where the step does not say it.
    pub fn expected(&self) -> Option<String> {
        Some(match self {
            Self::Differs(mismatch, _) => format!("{} at {}", mismatch.expected, mismatch.place),
            Self::Order(expected, _) => format!("frames in the order {}", expected.join(", ")),
            Self::Missing(functions) => format!("{} in the hello", human::list(functions)),
            Self::Extra(_) => "no frame but the pong of a last ping".to_owned(),
            Self::Refused(_) => "a connection".to_owned(),
            Self::NoHello(_) => "a hello of protocol 1".to_owned(),
            Self::Unread(_) => "that what is sent is read".to_owned(),
            _ => return None,
        })
    }

    /// What came instead.
    pub fn seen(&self) -> String {
        match self {
            Self::Refused(error) => format!("the connect failed: {error}"),
            Self::Silent(limit) => format!("nothing within {}", human::duration(*limit)),
            Self::Unread(limit) => format!("it was not read within {}", human::duration(*limit)),
            Self::Ended => "the end of the connection".to_owned(),
            Self::CutShort { came, of } => {
                format!("the end of the connection, {came} bytes into a frame of {of}")
            }
            Self::Broken(error) => format!("the connection broke: {error}"),
            Self::TooLong(length) => format!("a frame of {length} bytes"),
            Self::NotControl(frame) => format!("the reply {frame}"),
            Self::NotReply(frame) | Self::NoHello(frame) => format!("the control frame {frame}"),
            Self::BadControl(error, frame) => format!("the control frame {frame}: {}", chain(error)),
            Self::BadReply(error, frame) => format!("the frame {frame}: {}", chain(error)),
            Self::Differs(mismatch, frame) => format!("{} in {frame}", mismatch.seen),
            Self::Order(_, seen) => format!("frames in the order {}", seen.join(", ")),
            Self::Extra(frame) => format!("the frame {frame}"),
            Self::Missing(_) => "no such function".to_owned(),
        }
    }

    /// What it usually means by itself, whatever the vector.
    pub fn usually(&self) -> Option<&'static str> {
        Some(match self {
            Self::Refused(_) => "The process has ended (look at its stderr), or it has stopped accepting connections.",
            Self::Silent(_) => {
                "Nothing was written, or it waits in a buffer that is not flushed; or the handler waits for bytes that \
                 are not to come, because it reads the length in another way."
            }
            Self::Unread(_) => "The handler does not read while it works, or waits for something else.",
            Self::Ended | Self::Broken(_) => {
                "An exception ended the connection or the process (look at its stderr), or the handler closes after \
                 each reply, as only plain handlers may."
            }
            Self::CutShort { .. } => {
                "The length is larger than the body that follows: it counts characters instead of bytes, or bit 31 or \
                 the order of its bytes is wrong; or the connection was closed before all was written."
            }
            Self::TooLong(_) => {
                "The length is not four bytes, big-endian, or something was written to the socket that is no frame."
            }
            Self::NotControl(_) => "Bit 31 of the length is not set on control frames, or a reply came too often.",
            Self::NotReply(_) => "Bit 31 of the length is set on a reply, or a pong came too often.",
            Self::NoHello(_) => {
                "The first frame of every connection is `{\"hello\":{\"protocol\":1,\"functions\":[..]}}`."
            }
            Self::BadControl(..) => "A control frame is a JSON object with one member: `hello` or `pong`.",
            Self::BadReply(BadReply::NotJson { .. }, _) => {
                "The text is put together by hand, or the length counts characters instead of bytes and the frame ends \
                 too early."
            }
            Self::BadReply(..) => {
                "A reply of protocol 1 is a JSON object with the `status` ok, error, progress, partial or heartbeat."
            }
            Self::Extra(_) => "A frame is written after the final one: an interim frame too late, or a reply twice.",
            Self::Missing(_) => "The handler is not the conformance handler, or a function of it has another name.",
            Self::Differs(..) | Self::Order(..) => return None,
        })
    }
}

/// An error and what it says of its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
