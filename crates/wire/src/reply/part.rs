//! One output of a handler.

use bytes::Bytes;

use crate::Json;
use crate::json::Kind;
use crate::object::Members;

/// One output of a handler, before it is made into an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The next handler's input.
    pub payload: Json,
    /// A route of its own, from a handler that writes envelopes.
    pub route: Option<Json>,
    /// Headers in place of the message's.
    pub headers: Option<Json>,
}

impl Part {
    /// An output that keeps the message's route and headers.
    pub fn new(payload: Json) -> Self {
        Self {
            payload,
            route: None,
            headers: None,
        }
    }

    /// Reads `{payload, route?, headers?}`; `None` where it is not of that shape.
    pub(super) fn read(text: &Json) -> Option<Self> {
        if text.kind() != Kind::Object {
            return None;
        }
        let members = Members::scan(text.as_str(), &FIELDS).ok()?;
        let whole: &Bytes = text.bytes();
        let field = |name| members.value(name).map(|place| Json::checked(whole.slice(place)));
        let object = |name| match field(name).filter(|field| !field.is_null()) {
            Some(field) if field.kind() == Kind::Object => Some(Some(field)),
            Some(_) => None,
            None => Some(None),
        };
        Some(Self {
            payload: field(0)?,
            route: object(1)?,
            headers: object(2)?,
        })
    }
}

const FIELDS: [&str; 3] = ["payload", "route", "headers"];
