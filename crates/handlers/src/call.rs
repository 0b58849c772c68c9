//! One piece of work on its way to a handler.

use std::collections::BTreeMap;

use bytes::Bytes;

/// What a handler is asked to do.
///
/// The body goes out byte for byte; the rest is told to those who understand it (protocol 1).
#[derive(Debug, Clone)]
pub struct Call {
    /// The message's id.
    pub id: String,
    /// The actor that asks.
    pub actor: String,
    /// The package of the function that is called, where a function is.
    pub package: Option<String>,
    /// The function that is called, where the handler serves several.
    pub function: Option<String>,
    /// Attempts at this step, 1-based, this one included.
    pub attempt: u32,
    /// When the answer is of no use any more; the exchange is ended then.
    pub deadline: Option<jiff::Timestamp>,
    /// The message's headers, a JSON object or null.
    pub headers: wire::Json,
    /// What the body is.
    pub input: wire::Input,
    /// The request's bytes: the payload, or the whole envelope.
    pub body: Bytes,
}

impl Call {
    /// A header of the message that is a string.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let headers: BTreeMap<String, wire::Json> = self.headers.read().ok()?;
        headers.get(name)?.read().ok()
    }
}
