//! What a handler answers, and how its frames are told apart.
//!
//! The rule: a frame is read once and its result is a slice of it. What becomes of a reply is left to the routing.

mod fault;
mod part;
mod read;

#[cfg(test)]
mod tests;

pub use fault::Fault;
pub(crate) use fault::words;
pub use part::Part;
pub use read::{BadReply, Protocol, ReplyStyle, read_reply};

use crate::Json;

/// One frame from a handler.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// More will come.
    Interim(Interim),
    /// The last one of the exchange.
    Final(Reply),
}

/// A frame in the middle of the work.
#[derive(Debug, Clone, PartialEq)]
pub enum Interim {
    /// How far it is; one of the two is there.
    Progress {
        /// Of the whole, 0 to 100.
        percent: Option<f64>,
        /// For a person.
        message: Option<String>,
    },
    /// A piece of the result, for whoever follows the job; it is not routed.
    Partial(Json),
    /// It is still there.
    Heartbeat,
}

/// How an exchange ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The result, literally; `None` is a reply without one.
    Done(Option<Json>),
    /// The outputs of a handler that writes envelopes (`reply: envelope`).
    Parts(Vec<Part>),
    /// The handler failed.
    Fault(Fault),
}

impl Reply {
    /// The outputs of a message: the elements of an array, none for `null`, `[]` and no result, else the value
    /// itself. A `null` in an array is an output; a fault has none.
    pub fn parts(self) -> Vec<Part> {
        match self {
            Self::Parts(parts) => parts,
            Self::Done(Some(result)) if !result.is_null() => match result.elements() {
                Some(elements) => elements.into_iter().map(Part::new).collect(),
                None => vec![Part::new(result)],
            },
            Self::Done(_) | Self::Fault(_) => Vec::new(),
        }
    }
}
