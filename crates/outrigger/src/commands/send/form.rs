//! What becomes of a line: a new message around a payload, or the envelope that it is.

use bytes::Bytes;
use jiff::Timestamp;
use wire::{Draft, Envelope, Flaw, Json, JsonError, fresh_id};

use crate::{cli::Send, words::Header};

/// How messages are made of lines.
#[derive(Debug)]
pub(super) enum Form {
    /// A line is a payload; the rest of the message is given.
    Payload(Template),
    /// A line is a whole message and is put as it stands.
    Envelope,
}

/// All of a message but its id and payload.
#[derive(Debug)]
pub(super) struct Template {
    id: Option<String>,
    actors: Vec<String>,
    headers: Option<Json>,
    deadline: Option<Timestamp>,
}

/// A message that can be put.
#[derive(Debug)]
pub(super) struct Made {
    /// Its id; `None` where it has no valid one.
    pub(super) id: Option<String>,
    /// Its bytes.
    pub(super) body: Bytes,
    /// Why its actor will bury it, where it is put as it stands and is no envelope.
    pub(super) flaw: Option<Flaw>,
}

impl Form {
    /// What the command line asks for, at the moment `now`.
    pub(super) fn new(args: &Send, now: Timestamp) -> Self {
        if args.envelopes.is_some() {
            return Self::Envelope;
        }
        Self::Payload(Template {
            id: args.id.clone(),
            actors: args.route.actors().to_vec(),
            headers: headers(&args.header),
            deadline: args.deadline.map(|deadline| deadline.from(now)),
        })
    }

    /// Makes a message.
    ///
    /// # Errors
    /// The payload is not JSON. An envelope is never refused: whatever it is, it is put as it stands.
    pub(super) fn make(&self, bytes: Bytes) -> Result<Made, JsonError> {
        match self {
            Self::Payload(template) => Ok(template.make(Json::parse(bytes)?)),
            Self::Envelope => Ok(match Envelope::decode(bytes) {
                Ok(envelope) => Made {
                    id: Some(envelope.id().to_owned()),
                    body: envelope.body().clone(),
                    flaw: None,
                },
                Err(invalid) => Made {
                    id: invalid.id,
                    body: invalid.raw,
                    flaw: Some(invalid.why),
                },
            }),
        }
    }
}

impl Template {
    fn make(&self, payload: Json) -> Made {
        let id = self.id.clone().unwrap_or_else(fresh_id);
        let mut draft = Draft::new(&self.actors, payload);
        draft.id = Some(id.clone());
        draft.headers.clone_from(&self.headers);
        draft.deadline = self.deadline;
        Made {
            id: Some(id),
            body: Envelope::compose(draft),
            flaw: None,
        }
    }
}

/// The headers as an object; of a name that is given twice the last counts.
fn headers(headers: &[Header]) -> Option<Json> {
    let mut object = serde_json::Map::new();
    for header in headers {
        object.insert(header.name.clone(), header.value.clone().into());
    }
    (!object.is_empty()).then(|| Json::from_value(&object))
}
