//! Why a call has no result, and what its caller is told of it.
//!
//! What a caller is told is in the message; what only the log may say is its source.

use std::time::Duration;

use handlers::{HandlerError, Side};
use wire::{Fault, Json};

use super::Flaw;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CallError {
    /// The request is no call.
    #[error("{why}")]
    BadRequest { why: String },
    /// Its arguments do not fit the function's contract.
    #[error("the arguments of `{function}` do not fit: {}", summary(flaws))]
    BadArguments { function: String, flaws: Vec<Flaw> },
    /// There is no such function, package or path.
    #[error("{what}")]
    NotFound { what: String },
    /// It is larger than may be.
    #[error("the call is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    /// Its caller has taken it back.
    #[error("the call was taken back")]
    Canceled,
    /// Too long.
    #[error("`{function}` did not answer in time")]
    Timeout {
        function: String,
        #[source]
        source: Option<HandlerError>,
    },
    /// Nobody is there to do the work.
    #[error("`{function}` cannot be called now: {why}")]
    Unavailable {
        function: String,
        why: &'static str,
        #[source]
        source: Option<HandlerError>,
    },
    /// The handler's answer is none.
    #[error("the handler of `{function}` gave an answer that is no reply")]
    BadReply {
        function: String,
        #[source]
        source: HandlerError,
    },
    /// The function says no, in its own words.
    #[error("{message}")]
    Domain {
        /// `package/Error`.
        tag: String,
        code: Option<String>,
        message: String,
        payload: Json,
    },
    /// The handler failed.
    #[error("{message}")]
    Failed { code: Option<String>, message: String },
    /// What came back breaks the function's own contract.
    #[error("the result of `{function}` breaks its contract: {}", summary(flaws))]
    BrokenContract { function: String, flaws: Vec<Flaw> },
}

impl CallError {
    /// What it is for programs; a handler's own code is its own.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Domain { code, tag, .. } => code.as_deref().unwrap_or_else(|| kind(tag)),
            Self::Failed { code: Some(code), .. } => code,
            other => other.label(),
        }
    }

    /// What it is for metrics: few different words, whatever a handler calls its errors.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::BadRequest { .. } => "bad_request",
            Self::BadArguments { .. } => "bad_arguments",
            Self::NotFound { .. } => "not_found",
            Self::TooLarge { .. } => "too_large",
            Self::Canceled => "canceled",
            Self::Timeout { .. } => "timeout",
            Self::Unavailable { .. } => "handler_unavailable",
            Self::BadReply { .. } => "bad_reply",
            Self::Domain { .. } => "domain_error",
            Self::Failed { .. } | Self::BrokenContract { .. } => "internal",
        }
    }

    /// Where arguments do not fit; empty for any other error.
    pub(crate) fn flaws(&self) -> &[Flaw] {
        match self {
            Self::BadArguments { flaws, .. } => flaws,
            _ => &[],
        }
    }

    /// When another try is worth its while.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Unavailable { .. }).then_some(RETRY_AFTER)
    }

    /// What it means that an exchange with the handler of `function` brought no reply.
    pub(crate) fn of_exchange(function: &str, error: HandlerError) -> Self {
        let function = function.to_owned();
        match error {
            HandlerError::Unreachable { .. } => Self::Unavailable {
                function,
                why: "its handler is not there",
                source: Some(error),
            },
            HandlerError::Lost { .. } => Self::Unavailable {
                function,
                why: "its handler was lost at work",
                source: Some(error),
            },
            HandlerError::Timeout { .. } | HandlerError::Idle { .. } | HandlerError::Deadline { .. } => Self::Timeout {
                function,
                source: Some(error),
            },
            HandlerError::FrameTooLarge {
                whose: Side::Request,
                cap,
                ..
            } => Self::TooLarge { limit: cap },
            source => Self::BadReply { function, source },
        }
    }

    /// What it means that the handler of a function of `package` says that it failed.
    pub(crate) fn of_fault(package: &str, fault: Fault) -> Self {
        let is_domain = fault.kind.is_some() || fault.status.is_some_and(|status| (400..500).contains(&status));
        if !is_domain {
            return Self::Failed {
                code: fault.code,
                message: fault.message,
            };
        }
        let error = fault.kind.as_deref().or(fault.code.as_deref());
        Self::Domain {
            tag: format!("{package}/{}", error.unwrap_or(wire::code::HANDLER_ERROR)),
            message: fault.message,
            payload: fault.details.unwrap_or_else(Json::null),
            code: fault.code,
        }
    }

    /// Whether it says something of us or of the handler, rather than of the caller.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. }
                | Self::Unavailable { .. }
                | Self::BadReply { .. }
                | Self::Failed { .. }
                | Self::BrokenContract { .. }
        )
    }
}

/// The last word of a tag.
fn kind(tag: &str) -> &str {
    tag.rsplit_once('/').map_or(tag, |(_, kind)| kind)
}

fn summary(flaws: &[Flaw]) -> String {
    let Some(first) = flaws.first() else {
        return String::new();
    };
    let place = if first.path.is_empty() { "it" } else { &first.path };
    let more = match flaws.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!("{place} {}{more}", first.message)
}

/// A handler is found again within moments once it is there.
const RETRY_AFTER: Duration = Duration::from_secs(1);
