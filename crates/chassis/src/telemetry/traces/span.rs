//! What is told of one piece of work.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use wire::{SpanId, TraceContext};

/// A finished piece of work, in the terms of OpenTelemetry.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its place in its trace.
    pub place: Arc<TraceContext>,
    /// The span that caused it, in another process; none for the first of a trace.
    pub parent: Option<SpanId>,
    /// What was done, with few different values.
    pub name: Arc<str>,
    /// Its side of the exchange.
    pub kind: SpanKind,
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// What is known of it, by names of the semantic conventions or our own.
    pub attributes: Vec<(&'static str, Value)>,
    /// What happened meanwhile.
    pub events: Vec<Event>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// Which side of an exchange a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// It works on a message that was taken from a queue.
    Consumer,
    /// It answers a call.
    Server,
    /// It calls.
    Client,
}

/// Something that happened within a span.
#[derive(Debug, Clone)]
pub struct Event {
    /// What.
    pub name: &'static str,
    /// When.
    pub at: SystemTime,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text; a long one is cut.
    Text(Cow<'static, str>),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
}

impl Event {
    /// Something that happens now, of which nothing more is known.
    pub fn now(name: &'static str) -> Self {
        Self {
            name,
            at: SystemTime::now(),
            attributes: Vec::new(),
        }
    }

    /// The same with one more attribute.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(cut(text).into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

/// At most so much of a text that spans which wait do not take much room, whatever a handler has to say.
pub fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text.push('\u{2026}');
    }
    text
}

const MAX_TEXT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        assert_eq!(cut("x".repeat(MAX_TEXT)), "x".repeat(MAX_TEXT));
        let long = cut(format!("x{}", "\u{e4}".repeat(MAX_TEXT)));
        assert_eq!(long, format!("x{}\u{2026}", "\u{e4}".repeat((MAX_TEXT - 1) / 2)));
    }
}
