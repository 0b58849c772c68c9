//! New envelopes: a message that is sent, and a burial of bytes that are none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::InvalidEnvelope;
use crate::names::fresh_id;
use crate::{ErrorRecord, Json};

/// What a new message is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its id; a `UUIDv7` is made where it is missing. [`valid_id`](crate::valid_id) says what it may be.
    pub id: Option<String>,
    /// The actors that it visits; [`actor_name`](crate::actor_name) says what they may be called.
    pub actors: Vec<String>,
    /// Its headers, an object.
    pub headers: Option<Json>,
    /// When the work is of no use any more.
    pub deadline: Option<Timestamp>,
    /// The first handler's input.
    pub payload: Json,
}

impl Draft {
    /// A message with a fresh id, without headers and deadline.
    pub fn new(actors: impl IntoIterator<Item = impl Into<String>>, payload: Json) -> Self {
        Self {
            id: None,
            actors: actors.into_iter().map(Into::into).collect(),
            headers: None,
            deadline: None,
            payload,
        }
    }
}

impl super::Envelope {
    /// The bytes of a new message at the start of its route.
    pub fn compose(draft: Draft) -> Bytes {
        #[derive(Serialize)]
        struct Message {
            id: String,
            route: Route,
            #[serde(skip_serializing_if = "Option::is_none")]
            headers: Option<Json>,
            payload: Json,
            #[serde(skip_serializing_if = "Option::is_none")]
            deadline: Option<String>,
        }
        #[derive(Serialize)]
        struct Route {
            actors: Vec<String>,
            current: u32,
        }
        let message = Message {
            id: draft.id.unwrap_or_else(fresh_id),
            route: Route {
                actors: draft.actors,
                current: 0,
            },
            headers: draft.headers,
            payload: draft.payload,
            deadline: draft.deadline.map(|deadline| deadline.to_string()),
        };
        Json::from_value(&message).bytes().clone()
    }
}

/// The message for error-end that keeps bytes which are no envelope: no route, and `raw` (or `raw_base64` where they
/// are no text) in its error.
pub fn buried(invalid: &InvalidEnvelope, record: &ErrorRecord) -> Bytes {
    #[derive(Serialize)]
    struct Message<'a> {
        id: String,
        payload: (),
        error: Grave<'a>,
    }
    #[derive(Serialize)]
    struct Grave<'a> {
        #[serde(flatten)]
        record: &'a ErrorRecord,
        #[serde(flatten)]
        raw: Raw<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Raw<'a> {
        Raw(&'a str),
        RawBase64(String),
    }
    let raw = match std::str::from_utf8(&invalid.raw) {
        Ok(text) => Raw::Raw(text),
        Err(_) => Raw::RawBase64(STANDARD.encode(&invalid.raw)),
    };
    let message = Message {
        id: invalid.id.clone().unwrap_or_else(fresh_id),
        payload: (),
        error: Grave { record, raw },
    };
    Json::from_value(&message).bytes().clone()
}
