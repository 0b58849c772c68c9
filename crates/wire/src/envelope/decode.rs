//! From bytes to an envelope: what is checked, and what is read of it.

use std::ops::Range;

use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::json::{Kind, utf8};
use crate::names::valid_id;
use crate::number::integer;
use crate::object::Members;
use crate::{ErrorRecord, Json, JsonError};

/// A message: the bytes that came, and where in them its fields are.
///
/// Checked is what routing needs: `id`, `route` and `payload`. An optional field that is `null` or of a wrong type
/// counts as absent and is carried on. Where a field stands twice the last one counts. A payload may be nested
/// to any depth and hold half a surrogate pair: it is never read here.
///
/// ```
/// use wire::{Envelope, Json, Part};
///
/// let body = r#"{"id":"m-1", "route":{"actors":["clean","judge"],"current":0}, "payload":{"x": 1.0}, "mine":true}"#;
/// let envelope = Envelope::decode(body.into())?;
/// assert_eq!((envelope.here(), envelope.next_actor()), (Some("clean"), Some("judge")));
/// let output = envelope.advance(0, &Part::new(Json::from_value("done")));
/// assert_eq!(output, r#"{"id":"m-1", "route":{"actors":["clean","judge"],"current":1}, "payload":"done", "mine":true}"#);
/// # Ok::<(), wire::InvalidEnvelope>(())
/// ```
#[derive(Debug, Clone)]
pub struct Envelope {
    pub(super) body: Bytes,
    pub(super) members: Members,
    pub(super) route: Option<Route>,
    id: String,
}

/// The route inside an envelope, or one that a handler gave.
#[derive(Debug, Clone)]
pub(super) struct Route {
    /// Where it stands in the body.
    pub(super) place: Range<usize>,
    /// Its members, counted from its own start.
    pub(super) members: Members,
    pub(super) actors: Vec<String>,
    /// `None` in a handler's route that leaves it out.
    pub(super) current: Option<i64>,
}

/// Bytes that are no message, with the reason; [`buried`](super::buried) makes a message for error-end of them.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not an envelope: {why}")]
pub struct InvalidEnvelope {
    /// What is wrong with it.
    pub why: Flaw,
    /// Its own id, where it has a valid one.
    pub id: Option<String>,
    /// The bytes as they came.
    pub raw: Bytes,
}

/// Why some bytes are no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Not JSON text in UTF-8.
    #[error("{reason}")]
    NotJson {
        /// What the reader met, and where.
        reason: String,
    },
    /// JSON, but no object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// `id` (or `job_id`) is missing or breaks its rule.
    #[error("`id` is not a string of 1 to 256 bytes without control characters")]
    Id,
    /// `route` is missing or no object.
    #[error("`route` is not an object")]
    Route,
    /// `route.actors` (or `route.steps`) is missing or no list of strings.
    #[error("`route.actors` is not a list of strings")]
    Actors,
    /// `route.current` is missing or no integer.
    #[error("`route.current` is not an integer")]
    Current,
    /// `payload` is missing.
    #[error("`payload` is missing")]
    Payload,
}

impl Envelope {
    /// Reads a message of an ordinary actor.
    pub fn decode(body: Bytes) -> Result<Self, InvalidEnvelope> {
        Self::read(body, Demand::Route)
    }

    /// Reads a message at an end, where no route is checked: it may be missing or broken.
    pub fn decode_at_end(body: Bytes) -> Result<Self, InvalidEnvelope> {
        Self::read(body, Demand::Nothing)
    }

    fn read(body: Bytes, demand: Demand) -> Result<Self, InvalidEnvelope> {
        let invalid = |why, id: Option<String>, raw| Err(InvalidEnvelope { why, id, raw });
        let members = match members(&body) {
            Ok(members) => members,
            Err(why) => return invalid(why, None, body),
        };
        let text = |name: usize| members.value(name).map(|place| &body[place]);
        let present = |name| text(name).filter(|text| *text != b"null");
        let valid = |text: &[u8]| read::<String>(text).filter(|id| valid_id(id));
        let spelling = if present(ID).is_some() { ID } else { JOB_ID };
        let Some(id) = present(spelling).and_then(valid) else {
            let other = present(JOB_ID).and_then(valid);
            return invalid(Flaw::Id, other, body);
        };
        let route = match (Route::find(&body, &members), demand) {
            (Ok(route), _) => Some(route),
            (Err(why), Demand::Route) => return invalid(why, Some(id), body),
            (Err(_), Demand::Nothing) => None,
        };
        if text(PAYLOAD).is_none() {
            return invalid(Flaw::Payload, Some(id), body);
        }
        Ok(Self {
            body,
            members,
            route,
            id,
        })
    }

    /// The message's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The message that this one came from by a fan-out, maybe several hops ago.
    pub fn parent_id(&self) -> Option<String> {
        self.field(PARENT_ID)
    }

    /// The route: actors in order. Their names may break the rule for names: then there is no such queue.
    pub fn actors(&self) -> &[String] {
        self.route.as_ref().map_or(&[], |route| &route.actors)
    }

    /// The index of the actor that has the message now; it may lie outside the route. What does not fit an `i64`
    /// is its nearest end; 0 where there is no route.
    pub fn current(&self) -> i64 {
        self.route.as_ref().and_then(|route| route.current).unwrap_or(0)
    }

    /// The actor that has the message now; `None` when `current` lies outside the route.
    pub fn here(&self) -> Option<&str> {
        self.actor(self.current())
    }

    /// The actor after this one; `None` when the route is done.
    pub fn next_actor(&self) -> Option<&str> {
        self.actor(self.current().checked_add(1)?)
    }

    fn actor(&self, index: i64) -> Option<&str> {
        Some(self.actors().get(usize::try_from(index).ok()?)?.as_str())
    }

    /// A header that is a string.
    pub fn header(&self, name: &str) -> Option<String> {
        let headers = self.headers()?;
        let text = headers.as_str();
        let place = Members::scan(text, &[name]).ok()?.value(0)?;
        read(text[place].as_bytes())
    }

    /// The headers, where they are an object.
    pub fn headers(&self) -> Option<Json> {
        self.json(HEADERS).filter(|headers| headers.kind() == Kind::Object)
    }

    /// The handler's input, as a slice of the body.
    pub fn payload(&self) -> Json {
        self.json(PAYLOAD).expect("checked by decode")
    }

    /// When the work is of no use any more.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.field::<String>(DEADLINE)?.parse().ok()
    }

    /// Which attempt of the handler at this step this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.number(ATTEMPT)
            .and_then(|attempt| u32::try_from(attempt.clamp(1, u32::MAX.into())).ok())
            .unwrap_or(1)
    }

    /// Why it is at error-end; what a foreign record leaves out has a default.
    pub fn error(&self) -> Option<ErrorRecord> {
        self.error_text().and_then(|error| ErrorRecord::read(&error))
    }

    /// The error record as it stands, with fields that [`ErrorRecord`] does not know; `None` where it is absent.
    pub fn error_text(&self) -> Option<Json> {
        self.json(ERROR).filter(|error| !error.is_null())
    }

    /// The whole message, as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The text of the route, where there is one.
    pub(crate) fn route_text(&self) -> Option<&str> {
        let route = self.route.as_ref()?;
        Some(std::str::from_utf8(&self.body[route.place.clone()]).expect("checked by decode"))
    }

    /// Whether the field stands there, as whatever.
    pub(crate) fn has(&self, name: usize) -> bool {
        self.members.value(name).is_some()
    }

    fn json(&self, name: usize) -> Option<Json> {
        self.members
            .value(name)
            .map(|place| Json::checked(self.body.slice(place)))
    }

    fn field<T: DeserializeOwned>(&self, name: usize) -> Option<T> {
        self.members.value(name).and_then(|place| read(&self.body[place]))
    }

    fn number(&self, name: usize) -> Option<i64> {
        let place = self.members.value(name)?;
        integer(std::str::from_utf8(&self.body[place]).ok()?)
    }
}

impl Route {
    fn find(body: &Bytes, members: &Members) -> Result<Self, Flaw> {
        let place = members.value(ROUTE).ok_or(Flaw::Route)?;
        let mut route = Self::read(&body[place.clone()])?;
        route.current.ok_or(Flaw::Current)?;
        route.place = place;
        Ok(route)
    }

    /// Reads the text of a route. `current` may be missing, but is an integer where it stands.
    pub(super) fn read(text: &[u8]) -> Result<Self, Flaw> {
        if Kind::of(text) != Kind::Object {
            return Err(Flaw::Route);
        }
        let text = std::str::from_utf8(text).map_err(|_| Flaw::Route)?;
        let members = Members::scan(text, &ROUTE_FIELDS).map_err(|_| Flaw::Route)?;
        let present = |name| {
            members
                .value(name)
                .map(|place| &text[place])
                .filter(|text| *text != "null")
        };
        let actors = present(ACTORS).or_else(|| present(STEPS)).ok_or(Flaw::Actors)?;
        let actors = read(actors.as_bytes()).ok_or(Flaw::Actors)?;
        let current = present(CURRENT)
            .map(|text| integer(text).ok_or(Flaw::Current))
            .transpose()?;
        Ok(Self {
            place: 0..text.len(),
            members,
            actors,
            current,
        })
    }
}

/// Whether an envelope without a sound route is one.
enum Demand {
    Route,
    Nothing,
}

fn members(body: &[u8]) -> Result<Members, Flaw> {
    let not_json = |error: JsonError| {
        let why = std::error::Error::source(&error).map(|source| format!("{error}: {source}"));
        Flaw::NotJson {
            reason: why.unwrap_or_else(|| error.to_string()),
        }
    };
    let text = utf8(body).map_err(not_json)?;
    let first = text.trim_start_matches([' ', '\t', '\r', '\n']);
    if first.is_empty() || first.starts_with('{') {
        return Members::scan(text, &FIELDS).map_err(|source| not_json(JsonError::Syntax { source }));
    }
    let value: Result<&RawValue, _> = serde_json::from_str(text);
    value.map_err(|source| not_json(JsonError::Syntax { source }))?;
    Err(Flaw::NotAnObject)
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    serde_json::from_slice(text).ok()
}

pub(crate) const FIELDS: [&str; 9] = [
    "id",
    "job_id",
    "parent_id",
    "route",
    "headers",
    "payload",
    "deadline",
    "attempt",
    "error",
];
pub(crate) const ID: usize = 0;
pub(crate) const JOB_ID: usize = 1;
pub(super) const PARENT_ID: usize = 2;
pub(crate) const ROUTE: usize = 3;
pub(crate) const HEADERS: usize = 4;
pub(super) const PAYLOAD: usize = 5;
pub(super) const DEADLINE: usize = 6;
pub(super) const ATTEMPT: usize = 7;
pub(super) const ERROR: usize = 8;

pub(crate) const ROUTE_FIELDS: [&str; 3] = ["actors", "steps", "current"];
pub(crate) const ACTORS: usize = 0;
pub(crate) const STEPS: usize = 1;
pub(crate) const CURRENT: usize = 2;
