//! What a runtime answers.
//!
//! An answer is either all frames or a failure: one frame with an `error` makes the whole of it one.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Exchange, Generation, Position, route};
use crate::json::{Kind, trimmed};
use crate::object::{Edit, Members};
use crate::reply::words;
use crate::{BadReply, Fault, Json, Part, Reply};

impl Exchange<'_> {
    /// Reads a whole answer: a list of frames, in the third generation within `{"frames": [..]}`. No frame is no
    /// output.
    pub fn read(&self, answer: Bytes) -> Result<Reply, BadReply> {
        let answer = trimmed(answer);
        if answer.is_empty() {
            return Err(BadReply::Empty);
        }
        let answer = Json::parse(answer).map_err(|source| BadReply::NotJson { source })?;
        let list = match self.generation {
            Generation::One | Generation::Two => Some(answer),
            Generation::Three => Frame::scan(&answer).and_then(|frame| frame.field(FRAMES)),
        };
        let frames = list.and_then(|list| list.elements()).ok_or(match self.generation {
            Generation::One | Generation::Two => not_frames("it is no list"),
            Generation::Three => not_frames("it is no object with a list of `frames`"),
        })?;
        self.gather(&frames)
    }

    /// Reads frames that came one by one.
    pub fn gather(&self, frames: &[Json]) -> Result<Reply, BadReply> {
        if let Some(fault) = frames.iter().find_map(|frame| Frame::scan(frame)?.fault()) {
            return Ok(Reply::Fault(fault));
        }
        if frames.is_empty() || self.position == Position::End {
            return Ok(Reply::Done(None));
        }
        let parts = frames.iter().map(|frame| self.part(frame));
        parts.collect::<Result<_, _>>().map(Reply::Parts)
    }

    fn part(&self, frame: &Json) -> Result<Part, BadReply> {
        let frame = Frame::scan(frame).ok_or(not_frames("a frame of it is no object"))?;
        let payload = frame
            .field(PAYLOAD)
            .ok_or(not_frames("a frame of it has no `payload`"))?;
        let object = |name, why| match frame.field(name).filter(|field| !field.is_null()) {
            Some(field) if field.kind() != Kind::Object => Err(not_frames(why)),
            field => Ok(field),
        };
        let headers = object(HEADERS, "the `headers` of a frame are no object")?;
        let route = object(ROUTE, "the `route` of a frame is no object")?;
        let route = route.map(|route| route::taken(self.message, self.generation, route));
        Ok(Part {
            payload,
            route: route.transpose().map_err(not_frames)?.flatten(),
            headers: headers.filter(|headers| !self.sent(headers)),
        })
    }

    /// Whether these are the headers that the runtime was given: it only hands them back.
    fn sent(&self, headers: &Json) -> bool {
        let object = |json: &Json| json.read::<Map<String, Value>>().ok();
        let sent = match self.headers.kind() {
            Kind::Object => Some(self.headers.clone()),
            _ => self.message.headers(),
        };
        object(headers).is_some_and(|headers| sent.as_ref().and_then(object) == Some(headers))
    }
}

/// A failure as a runtime tells it: `{"error": CODE, "details": {message, type, traceback, ..}}`; `None` where the
/// text is none.
pub fn fault(text: &Bytes) -> Option<Fault> {
    Frame::scan(&Json::parse(text.clone()).ok()?)?.fault()
}

/// What a frame of a stream shows to whoever follows the job: its `payload`, or all of it where it has none.
pub fn shown(data: Json) -> Json {
    let payload = Frame::scan(&data).and_then(|frame| frame.field(PAYLOAD));
    payload.unwrap_or(data)
}

/// One object, by the members that a frame has.
struct Frame {
    text: Bytes,
    members: Members,
}

impl Frame {
    fn scan(json: &Json) -> Option<Self> {
        if json.kind() != Kind::Object {
            return None;
        }
        Some(Self {
            members: Members::scan(json.as_str(), &FIELDS).ok()?,
            text: json.bytes().clone(),
        })
    }

    fn field(&self, name: usize) -> Option<Json> {
        self.members
            .value(name)
            .map(|place| Json::checked(self.text.slice(place)))
    }

    fn fault(&self) -> Option<Fault> {
        let error = self.field(ERROR).filter(|error| error.kind() == Kind::String)?;
        let code = words(&error)?;
        let details = self.field(DETAILS).filter(|details| !details.is_null());
        let Some(text) = details.as_ref().filter(|details| details.kind() == Kind::Object) else {
            return Some(Fault {
                code: Some(code.clone()),
                ..Fault::new(details.as_ref().and_then(words).unwrap_or(code))
            });
        };
        let members = Members::scan(text.as_str(), &DETAILS_FIELDS).ok()?;
        let said = |name| {
            let place = members.value(name)?;
            Some(Json::checked(text.bytes().slice(place))).filter(|said| !said.is_null())
        };
        let [message, kind, traceback] = [0, 1, 2].map(|name| said(name).as_ref().and_then(words));
        let mut rest = Edit::new(text.bytes(), &members, &DETAILS_FIELDS);
        for name in 0..DETAILS_FIELDS.len() {
            rest.remove(name);
        }
        let rest = rest.finish();
        let is_empty = rest
            .iter()
            .all(|byte| byte.is_ascii_whitespace() || b"{}".contains(byte));
        let message = message.or_else(|| kind.clone()).unwrap_or_else(|| code.clone());
        Some(Fault {
            code: Some(code),
            kind,
            traceback,
            details: (!is_empty).then(|| Json::checked(rest.into())),
            ..Fault::new(message)
        })
    }
}

fn not_frames(why: &'static str) -> BadReply {
    BadReply::NotFrames { why }
}

const FIELDS: [&str; 6] = ["payload", "route", "headers", "error", "details", "frames"];
const PAYLOAD: usize = 0;
const ROUTE: usize = 1;
const HEADERS: usize = 2;
const ERROR: usize = 3;
const DETAILS: usize = 4;
const FRAMES: usize = 5;

const DETAILS_FIELDS: [&str; 3] = ["message", "type", "traceback"];
