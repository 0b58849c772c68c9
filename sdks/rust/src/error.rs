//! What a handler returns to say how its failure is to be treated.
//!
//! Any other error is a plain handler error: whether that is tried again is the actor's configuration.

use std::{fmt, time::Duration};

use serde::Serialize;
use serde_json::Value;

/// Any error: `?` makes one of every other kind, [`Fail`] and [`Retry`] included.
///
/// A function may just as well return an error type of its own, or `anyhow::Error`.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Give this message up: trying again would not help. It goes to the error-end under its code.
///
/// ```
/// # use outrigger_handler::{Error, Fail};
/// fn area(sides: (f64, f64)) -> Result<f64, Error> {
///     if sides.0 < 0.0 {
///         return Err(Fail::new("bad_side", "a side is negative").details(sides).into());
///     }
///     Ok(sides.0 * sides.1)
/// }
/// # assert!(area((-1.0, 1.0)).is_err());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Fail {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) details: Option<Value>,
}

/// Try this message again: what went wrong may pass.
///
/// ```
/// # use outrigger_handler::Retry;
/// # use std::time::Duration;
/// let error = Retry::new("the model is warming up").after(Duration::from_secs(5));
/// # assert_eq!(error.to_string(), "the model is warming up");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    pub(crate) message: String,
    pub(crate) after: Option<Duration>,
    pub(crate) code: Option<String>,
    pub(crate) details: Option<Value>,
}

impl Fail {
    /// A failure with a short word such as `bad_image` for programs, and a sentence for people.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            details: None,
        }
    }

    /// Adds any JSON that helps whoever reads the error. What has no JSON form is replaced by the reason why.
    pub fn details(self, details: impl Serialize) -> Self {
        Self {
            details: Some(json(details)),
            ..self
        }
    }
}

impl Retry {
    /// A failure that may pass.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            after: None,
            code: None,
            details: None,
        }
    }

    /// The least delay before another attempt.
    pub fn after(self, delay: Duration) -> Self {
        Self {
            after: Some(delay),
            ..self
        }
    }

    /// Names the error where the attempts run out.
    pub fn code(self, code: impl Into<String>) -> Self {
        Self {
            code: Some(code.into()),
            ..self
        }
    }

    /// Adds any JSON that helps whoever reads the error. What has no JSON form is replaced by the reason why.
    pub fn details(self, details: impl Serialize) -> Self {
        Self {
            details: Some(json(details)),
            ..self
        }
    }
}

fn json(details: impl Serialize) -> Value {
    serde_json::to_value(details).unwrap_or_else(|error| Value::String(error.to_string()))
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.message.is_empty() {
            &self.code
        } else {
            &self.message
        })
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fail {}
impl std::error::Error for Retry {}
