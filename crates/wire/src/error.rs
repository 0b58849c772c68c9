//! The record of why a message ended at error-end.
//!
//! The rule: a record always says who, what and when; its message is never empty.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::Json;
use crate::json::{Kind, plain};
use crate::number::integer;
use crate::object::Members;

/// Why a message is at error-end: the member `error` of its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorRecord {
    /// The handler's own code, [`code::HANDLER_ERROR`] if it gave none, or one of ours in [`code`].
    #[serde(serialize_with = "code_text")]
    pub code: String,
    /// What happened, for a person. An empty one is written as a sentence that says so.
    #[serde(serialize_with = "message_text")]
    pub message: String,
    /// The type of the exception, in the handler's language; `type` in JSON.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where in the handler it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
    /// Whatever else the handler says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Json>,
    /// The actor whose station gave up.
    pub actor: String,
    /// The attempt that was the last, from 1.
    pub attempt: u32,
    /// When; written as RFC 3339 in UTC.
    #[serde(serialize_with = "at_text")]
    pub at: Timestamp,
}

/// The codes that are ours; a handler's own are its own business.
pub mod code {
    /// The handler failed and gave no code.
    pub const HANDLER_ERROR: &str = "handler_error";
    /// The bytes are no envelope.
    pub const INVALID_ENVELOPE: &str = "invalid_envelope";
    /// The route says that another actor has the message, or none.
    pub const ROUTE_MISMATCH: &str = "route_mismatch";
    /// No reply within the timeout.
    pub const TIMEOUT: &str = "timeout";
    /// The deadline passed before there was a reply.
    pub const DEADLINE_EXCEEDED: &str = "deadline_exceeded";
    /// The connection was lost after the request was written.
    pub const HANDLER_LOST: &str = "handler_lost";
    /// The reply is none.
    pub const BAD_REPLY: &str = "bad_reply";
    /// A frame is over the cap.
    pub const FRAME_TOO_LARGE: &str = "frame_too_large";
    /// An output is larger than its queue takes.
    pub const TOO_LARGE: &str = "too_large";
    /// The message was delivered as often as is allowed and never finished.
    pub const ATTEMPTS_EXHAUSTED: &str = "attempts_exhausted";
    /// The queue of an output does not exist.
    pub const NO_QUEUE: &str = "no_queue";
}

impl ErrorRecord {
    /// A record with only what each has.
    pub fn new(code: &str, message: impl Into<String>, actor: &str, attempt: u32, at: Timestamp) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            kind: None,
            traceback: None,
            details: None,
            actor: actor.to_owned(),
            attempt,
            at,
        }
    }

    /// Reads a record, also of another program: what it leaves out or spells in another way has a default (`at`: the
    /// Unix epoch). `None` when it is no object.
    pub(crate) fn read(text: &Json) -> Option<Self> {
        if text.kind() != Kind::Object {
            return None;
        }
        let members = Members::scan(text.as_str(), &FIELDS).ok()?;
        let field = |name| {
            members
                .value(name)
                .map(|place| Json::checked(text.bytes().slice(place)))
        };
        let field = |name| field(name).filter(|value| !value.is_null());
        let string = |name| field(name).as_ref().map(plain);
        let attempt = field(6).and_then(|attempt| integer(attempt.as_str()));
        Some(Self {
            code: string(0).unwrap_or_else(|| code::HANDLER_ERROR.to_owned()),
            message: string(1).unwrap_or_else(|| NO_MESSAGE.to_owned()),
            kind: string(2),
            traceback: string(3),
            details: field(4),
            actor: string(5).unwrap_or_default(),
            attempt: attempt.and_then(|attempt| u32::try_from(attempt).ok()).unwrap_or(1),
            at: string(7)
                .and_then(|at| at.parse().ok())
                .unwrap_or(Timestamp::UNIX_EPOCH),
        })
    }
}

/// The fields of a record, in their order.
const FIELDS: [&str; 8] = [
    "code",
    "message",
    "type",
    "traceback",
    "details",
    "actor",
    "attempt",
    "at",
];

/// What stands for a message that was not given.
pub(crate) const NO_MESSAGE: &str = "no message was given";

fn code_text<S: Serializer>(code: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if code.is_empty() { code::HANDLER_ERROR } else { code })
}

fn message_text<S: Serializer>(message: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if message.trim().is_empty() { NO_MESSAGE } else { message })
}

fn at_text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}
