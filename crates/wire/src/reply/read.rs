//! From the bytes of a frame to what it means.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Fault, Frame, Interim, Part, Reply};
use crate::json::{Kind, plain, trimmed, utf8};
use crate::object::Members;
use crate::{Json, JsonError};

/// How a plain handler's reply is told from its data (`reply:` of an actor's config).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplyStyle {
    /// By its looks: a frame with a `status` of ours, an error in the short form, else the result itself.
    #[default]
    Auto,
    /// Every frame is the result itself.
    Bare,
    /// Every frame has a `status`, or is an error in the short form.
    Framed,
    /// `{payload, route?, headers?}`, or a list of these.
    Envelope,
}

/// Which generation of the handler protocol a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// One frame in, one frame out.
    Plain,
    /// Protocol 1: hello, ping, meta, and a `status` in each reply frame.
    One,
}

/// A frame that is no reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadReply {
    /// It has no bytes, or only whitespace.
    #[error("the reply is empty")]
    Empty,
    /// It is not one JSON value.
    #[error("the reply is not JSON")]
    NotJson {
        /// Where it breaks.
        #[source]
        source: JsonError,
    },
    /// It is JSON, but not one of the frames that a framed reply may be.
    #[error("the reply is not a frame of the handler protocol: {why}")]
    NotFramed {
        /// What is missing or wrong.
        why: &'static str,
    },
    /// An actor with `reply: envelope` got something else.
    #[error("the reply is not `{{payload, route?, headers?}}` or a list of these")]
    NotParts,
    /// A runtime of Asya answered with something else than its frames.
    #[error("the reply is not a list of frames of an Asya runtime: {why}")]
    NotFrames {
        /// What is missing or wrong.
        why: &'static str,
    },
}

/// Reads one frame of a handler. The result and other JSON in it are slices of `frame`.
///
/// ```
/// use wire::{Frame, Json, Protocol, Reply, ReplyStyle, read_reply};
///
/// let frame = read_reply(r#"{"status":"ok","result":[1,2]}"#.into(), ReplyStyle::Auto, Protocol::Plain)?;
/// let Frame::Final(reply) = frame else { panic!("more will come") };
/// assert_eq!(reply.parts().len(), 2);
/// # Ok::<(), wire::BadReply>(())
/// ```
pub fn read_reply(frame: Bytes, style: ReplyStyle, protocol: Protocol) -> Result<Frame, BadReply> {
    let frame = trimmed(frame);
    let first = frame.first().ok_or(BadReply::Empty)?;
    let bare = protocol == Protocol::Plain && style == ReplyStyle::Bare;
    if bare || *first != b'{' {
        let result = Json::parse(frame).map_err(|source| BadReply::NotJson { source })?;
        return if bare {
            Ok(done(result))
        } else {
            unframed(result, style, protocol, "it is no object")
        };
    }
    let object = Object::read(frame)?;
    if protocol == Protocol::Plain && style == ReplyStyle::Envelope && object.field("payload").is_some() {
        return in_style(Reply::Done(Some(object.into_json())), style).map(Frame::Final);
    }
    match framed(&object, protocol) {
        Ok(Frame::Final(reply)) => in_style(reply, style).map(Frame::Final),
        Ok(interim) => Ok(interim),
        Err(why) => unframed(object.into_json(), style, protocol, why),
    }
}

/// The rows of the protocol's table, from the top; `Err` says why it is none of them.
fn framed(object: &Object, protocol: Protocol) -> Result<Frame, &'static str> {
    let Some(status) = object.field("status") else {
        let string = |name| object.field(name).is_some_and(|field| field.kind() == Kind::String);
        if protocol == Protocol::Plain && string("error") && (string("message") || string("type")) {
            return Ok(Frame::Final(Reply::Fault(object.fault())));
        }
        return Err("it has no `status`");
    };
    let status = if status.kind() == Kind::String {
        plain(&status)
    } else {
        String::new()
    };
    match status.as_str() {
        "ok" => Ok(Frame::Final(Reply::Done(object.field("result")))),
        "error" => Ok(Frame::Final(Reply::Fault(object.fault()))),
        "progress" => object
            .progress()
            .map(Frame::Interim)
            .ok_or("its progress has neither `percent` nor `message`"),
        "partial" => {
            let data = object.field("data").ok_or("its partial has no `data`")?;
            Ok(Frame::Interim(Interim::Partial(data)))
        }
        "heartbeat" => Ok(Frame::Interim(Interim::Heartbeat)),
        _ => Err("its `status` is not known"),
    }
}

/// "Anything else": the result itself, where it may be.
fn unframed(result: Json, style: ReplyStyle, protocol: Protocol, why: &'static str) -> Result<Frame, BadReply> {
    if protocol == Protocol::One || style == ReplyStyle::Framed {
        return Err(BadReply::NotFramed { why });
    }
    in_style(Reply::Done(Some(result)), style).map(Frame::Final)
}

fn in_style(reply: Reply, style: ReplyStyle) -> Result<Reply, BadReply> {
    let Reply::Done(result) = reply else { return Ok(reply) };
    if style != ReplyStyle::Envelope {
        return Ok(Reply::Done(result));
    }
    let parts = Reply::Done(result).parts().into_iter();
    let parts: Option<Vec<Part>> = parts.map(|part| Part::read(&part.payload)).collect();
    parts.map(Reply::Parts).ok_or(BadReply::NotParts)
}

fn done(result: Json) -> Frame {
    Frame::Final(Reply::Done(Some(result)))
}

/// An object that may be a frame: its text and the members that a frame has.
struct Object {
    text: Bytes,
    members: Members,
}

impl Object {
    fn read(text: Bytes) -> Result<Self, BadReply> {
        let syntax = |source| BadReply::NotJson {
            source: JsonError::Syntax { source },
        };
        let checked = utf8(&text).map_err(|source| BadReply::NotJson { source })?;
        let members = Members::scan(checked, &FIELDS).map_err(syntax)?;
        Ok(Self { text, members })
    }

    fn field(&self, name: &str) -> Option<Json> {
        let index = FIELDS
            .iter()
            .position(|field| *field == name)
            .expect("a field of a frame");
        let place: Range<usize> = self.members.value(index)?;
        Some(Json::checked(self.text.slice(place)))
    }

    fn fault(&self) -> Fault {
        Fault::read(|name| self.field(name))
    }

    fn progress(&self) -> Option<Interim> {
        let number = |field: &Json| field.kind() == Kind::Number;
        let percent = self
            .field("percent")
            .filter(number)
            .and_then(|text| text.as_str().parse::<f64>().ok());
        let percent = percent.map(|percent| percent.clamp(0.0, 100.0));
        let message = self.field("message").filter(|message| message.kind() == Kind::String);
        let message = message.as_ref().map(plain);
        (percent.is_some() || message.is_some()).then_some(Interim::Progress { percent, message })
    }

    fn into_json(self) -> Json {
        Json::checked(self.text)
    }
}

const FIELDS: [&str; 12] = [
    "status",
    "result",
    "error",
    "message",
    "type",
    "retryable",
    "retry_after",
    "traceback",
    "details",
    "percent",
    "data",
    "payload",
];
