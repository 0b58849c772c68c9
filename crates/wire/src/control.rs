//! What the control frames of protocol 1 say.
//!
//! The rule: a message or a field that this version does not know is passed over, so either side may be newer.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::json::utf8;
use crate::object::Members;
use crate::{Json, JsonError};

/// The handler's side of the greeting, right after it has accepted a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocol that it speaks: [`Hello::PROTOCOL`].
    pub protocol: u32,
    /// What can be called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<FunctionInfo>,
}

impl Hello {
    /// The protocol of this page.
    pub const PROTOCOL: u32 = 1;
}

/// A function of a handler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionInfo {
    /// Its name.
    pub name: String,
    /// The package that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Its parameters: a list of `{name, schema}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Json>,
    /// The schema of its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    /// Whether it gives its result in pieces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming: Option<bool>,
}

/// What is told of a request before its frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The message.
    pub id: String,
    /// The actor that was asked.
    pub actor: String,
    /// The package of the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The function, where the handler has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Which attempt at this step it is, from 1.
    pub attempt: u32,
    /// When the reply is of no use any more; RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// The message's headers, an object.
    pub headers: Json,
    /// What the request frame is.
    pub input: Input,
}

/// What a handler is given (`input:` of an actor's config).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// The payload, byte for byte.
    #[default]
    Payload,
    /// The whole message.
    Envelope,
}

/// A control frame that a handler sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FromHandler {
    /// The greeting.
    Hello(Hello),
    /// The answer to a ping, with its number.
    Pong(u64),
    /// Something that this version does not know: passed over.
    #[serde(skip)]
    Other,
}

/// A control frame that a sidecar sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ToHandler {
    /// Are you there?
    Ping(u64),
    /// What the next request frame is about.
    Meta(Meta),
    /// Something that this version does not know: passed over.
    #[serde(skip)]
    Other,
}

/// A control frame that can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadControl {
    /// It is no JSON object.
    #[error("a control frame is not a JSON object")]
    NotJson {
        /// Where it breaks.
        #[source]
        source: JsonError,
    },
    /// A message of ours has another shape.
    #[error("the control frame `{name}` has the wrong shape")]
    Shape {
        /// Which message.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: JsonError,
    },
}

impl FromHandler {
    /// Reads the body of a control frame.
    pub fn read(body: &Bytes) -> Result<Self, BadControl> {
        let message = Message::read(body, ["hello", "pong"])?;
        Ok(match message {
            Some(Message {
                name: name @ "hello",
                value,
            }) => Self::Hello(value.shaped(name)?),
            Some(Message { name, value }) => Self::Pong(value.shaped(name)?),
            None => Self::Other,
        })
    }

    /// The body of its control frame.
    pub fn to_bytes(&self) -> Bytes {
        if *self == Self::Other {
            Bytes::from_static(b"{}")
        } else {
            Json::from_value(self).bytes().clone()
        }
    }
}

impl ToHandler {
    /// Reads the body of a control frame.
    pub fn read(body: &Bytes) -> Result<Self, BadControl> {
        let message = Message::read(body, ["ping", "meta"])?;
        Ok(match message {
            Some(Message {
                name: name @ "ping",
                value,
            }) => Self::Ping(value.shaped(name)?),
            Some(Message { name, value }) => Self::Meta(value.shaped(name)?),
            None => Self::Other,
        })
    }

    /// The body of its control frame.
    pub fn to_bytes(&self) -> Bytes {
        if *self == Self::Other {
            Bytes::from_static(b"{}")
        } else {
            Json::from_value(self).bytes().clone()
        }
    }
}

/// The first of the known messages in a control frame.
struct Message {
    name: &'static str,
    value: Value,
}

struct Value(Json);

impl Message {
    fn read(body: &Bytes, names: [&'static str; 2]) -> Result<Option<Self>, BadControl> {
        let text = utf8(body).map_err(|source| BadControl::NotJson { source })?;
        let syntax = |source| BadControl::NotJson {
            source: JsonError::Syntax { source },
        };
        let members = Members::scan(text, &names).map_err(syntax)?;
        let found = (0..names.len()).find_map(|index| Some((names[index], members.value(index)?)));
        Ok(found.map(|(name, place)| Self {
            name,
            value: Value(Json::checked(body.slice(place))),
        }))
    }
}

impl Value {
    fn shaped<T: serde::de::DeserializeOwned>(&self, name: &'static str) -> Result<T, BadControl> {
        self.0.read().map_err(|source| BadControl::Shape { name, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    #[test]
    fn a_hello_names_what_can_be_called() {
        let text = r#"{"hello":{"protocol":1,"functions":[{"name":"f","package":"p","args":[{"name":"x"}],"streaming":true},{"name":"g"}]}}"#;
        let FromHandler::Hello(hello) = FromHandler::read(&bytes(text)).unwrap() else {
            panic!("no hello")
        };
        assert_eq!(hello.protocol, Hello::PROTOCOL);
        assert_eq!(hello.functions[0].args.as_ref().unwrap().as_str(), r#"[{"name":"x"}]"#);
        assert_eq!(
            (&hello.functions[1].package, hello.functions[1].streaming),
            (&None, None)
        );
        assert_eq!(FromHandler::Hello(hello).to_bytes(), text);
    }

    #[test]
    fn a_newer_handler_is_understood() {
        let text = r#"{"hello":{"protocol":2,"mood":"good","functions":[{"name":"f","weight":1}]},"more":1}"#;
        assert!(matches!(FromHandler::read(&bytes(text)), Ok(FromHandler::Hello(hello)) if hello.protocol == 2));
        assert_eq!(
            FromHandler::read(&bytes(r#"{"goodbye":{}}"#)).unwrap(),
            FromHandler::Other
        );
        assert_eq!(ToHandler::read(&bytes("{}")).unwrap(), ToHandler::Other);
        let least = FromHandler::read(&bytes(r#"{"hello":{"protocol":1}}"#));
        assert!(matches!(least, Ok(FromHandler::Hello(hello)) if hello.functions.is_empty()));
    }

    #[test]
    fn pings_and_pongs_have_a_number() {
        assert_eq!(ToHandler::Ping(7).to_bytes(), r#"{"ping":7}"#);
        assert_eq!(FromHandler::Pong(7).to_bytes(), r#"{"pong":7}"#);
        assert_eq!(
            FromHandler::read(&bytes(" {\"pong\" : 7 } ")).unwrap(),
            FromHandler::Pong(7)
        );
        assert_eq!(ToHandler::read(&bytes(r#"{"ping":7}"#)).unwrap(), ToHandler::Ping(7));
    }

    #[test]
    fn a_meta_has_its_headers_as_they_came() {
        let meta = Meta {
            id: "m".into(),
            actor: "a".into(),
            package: None,
            function: Some("f".into()),
            attempt: 2,
            deadline: None,
            headers: Json::parse(bytes("{ \"x\": 1.0 }")).unwrap(),
            input: Input::Payload,
        };
        let text =
            r#"{"meta":{"id":"m","actor":"a","function":"f","attempt":2,"headers":{ "x": 1.0 },"input":"payload"}}"#;
        assert_eq!(ToHandler::Meta(meta.clone()).to_bytes(), text);
        assert_eq!(ToHandler::read(&bytes(text)).unwrap(), ToHandler::Meta(meta));
    }

    #[test]
    fn what_is_broken_is_refused_with_its_name() {
        for text in ["", "[]", "{", "1", "{\"pong\":}"] {
            assert!(
                matches!(FromHandler::read(&bytes(text)), Err(BadControl::NotJson { .. })),
                "{text}"
            );
        }
        let invalid = Bytes::from_static(b"{\"\xff\":1}");
        assert!(matches!(FromHandler::read(&invalid), Err(BadControl::NotJson { .. })));
        let pong = FromHandler::read(&bytes(r#"{"pong":"7"}"#)).unwrap_err();
        assert_eq!(pong.to_string(), "the control frame `pong` has the wrong shape");
        assert!(matches!(
            FromHandler::read(&bytes(r#"{"hello":{}}"#)),
            Err(BadControl::Shape { name: "hello", .. })
        ));
    }
}
