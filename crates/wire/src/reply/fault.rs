//! A failure as the handler tells it.
//!
//! The rule: an error is never lost because a field of it has another type than ours. What can be read is read, what
//! can't be is kept as text.

use std::time::Duration;

use jiff::Timestamp;

use crate::error::NO_MESSAGE;
use crate::json::{Kind, plain};
use crate::number::seconds;
use crate::{ErrorRecord, Json, code};

/// A failure as the handler tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its code for programs.
    pub code: Option<String>,
    /// What happened, for a person; never empty.
    pub message: String,
    /// The type of the exception; `type` in JSON.
    pub kind: Option<String>,
    /// Whether another attempt may help; `None` when it does not say.
    pub retryable: Option<bool>,
    /// The least delay before another attempt, at most a year.
    pub retry_after: Option<Duration>,
    /// Where in the handler it happened.
    pub traceback: Option<String>,
    /// Whatever else it says about it.
    pub details: Option<Json>,
    /// The status of the answer that said so, where HTTP carried it.
    pub status: Option<u16>,
}

impl Fault {
    /// A failure of which only this is known.
    pub fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code: None,
            message: if message.trim().is_empty() {
                NO_MESSAGE.to_owned()
            } else {
                message
            },
            kind: None,
            retryable: None,
            retry_after: None,
            traceback: None,
            details: None,
            status: None,
        }
    }

    /// The record for error-end.
    pub fn record(&self, actor: &str, attempt: u32, at: Timestamp) -> ErrorRecord {
        ErrorRecord {
            kind: self.kind.clone(),
            traceback: self.traceback.clone(),
            details: self.details.clone(),
            ..ErrorRecord::new(
                self.code.as_deref().unwrap_or(code::HANDLER_ERROR),
                &self.message,
                actor,
                attempt,
                at,
            )
        }
    }

    /// Reads it from the fields of an error frame.
    pub(super) fn read(mut field: impl FnMut(&str) -> Option<Json>) -> Self {
        let mut field = |name| field(name).filter(|value| !value.is_null());
        let (error, details) = (field("error"), field("details"));
        let said = error.as_ref().and_then(words);
        let structured = error.filter(|error| matches!(error.kind(), Kind::Object | Kind::Array));
        let (code, details) = match (structured, details) {
            (Some(error), None) => (None, Some(error)),
            (_, details) => (said.clone(), details),
        };
        let kind = field("type").as_ref().and_then(words);
        let message = field("message").as_ref().and_then(words);
        let message = message.or_else(|| kind.clone()).or(said);
        Self {
            retryable: field("retryable").and_then(|value| plain(&value).parse().ok()),
            retry_after: field("retry_after").and_then(|value| seconds(&plain(&value))),
            traceback: field("traceback").as_ref().and_then(lines),
            code,
            kind,
            details,
            ..Self::new(message.unwrap_or_default())
        }
    }
}

/// The text of a string, the JSON of anything else; `None` where nothing but blanks would be left.
pub(crate) fn words(value: &Json) -> Option<String> {
    Some(plain(value)).filter(|text| !text.trim().is_empty())
}

/// As [`words`]; a list of strings is one text, as some languages give their tracebacks.
fn lines(value: &Json) -> Option<String> {
    match value.elements() {
        Some(lines) if lines.iter().all(|line| line.kind() == Kind::String) => {
            let text: String = lines.iter().map(plain).collect();
            Some(text).filter(|text| !text.trim().is_empty())
        }
        _ => words(value),
    }
}
