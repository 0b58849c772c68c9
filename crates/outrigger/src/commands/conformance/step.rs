//! The steps of a vector, as they stand in its file.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use wire::{Control, Header};

use super::{pattern::show, value::expand};

/// One step. Each kind has a member of its own by which it is known.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Step {
    /// Sends something.
    Send(Message),
    /// Sends several things in one write.
    Together { on: Option<String>, together: Vec<Message> },
    /// Opens a connection and judges its hello.
    Hello { on: Option<String>, hello: Value },
    /// The next frame is a control frame.
    Expect { on: Option<String>, expect: Value },
    /// Calls until the reply is the right one.
    Until {
        on: Option<String>,
        until: String,
        payload: Value,
        reply: Value,
    },
    /// The next frame is a reply.
    Reply { on: Option<String>, reply: Value },
    /// Frames come in this order of connections.
    Order { order: Vec<String> },
    /// Closes a connection.
    Close {
        on: Option<String>,
        #[expect(dead_code, reason = "it is what the step is known by")]
        close: True,
    },
    /// Steps several times.
    Repeat { repeat: usize, steps: Vec<Step> },
}

/// What can be sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Message {
    /// A control frame.
    Control {
        on: Option<String>,
        control: Value,
        pieces: Option<usize>,
    },
    /// A request that nothing was told of.
    Request {
        on: Option<String>,
        request: Value,
        pieces: Option<usize>,
    },
    /// Bytes as they are.
    Bytes {
        on: Option<String>,
        bytes: Hex,
        pieces: Option<usize>,
    },
    /// A meta and its request.
    Call {
        on: Option<String>,
        call: Value,
        payload: Option<Value>,
        text: Option<String>,
        hex: Option<Hex>,
        #[serde(default)]
        meta: Map<String, Value>,
        pieces: Option<usize>,
    },
}

/// `true`, which is the only thing that can stand there.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "bool")]
pub struct True;

impl TryFrom<bool> for True {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<Self, Self::Error> {
        value.then_some(Self).ok_or("only true can stand here")
    }
}

/// Bytes, written as pairs of hexadecimal digits with spaces between some of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Hex(Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits: Vec<char> = text.chars().filter(|c| *c != ' ').collect();
        let byte = |pair: &[char]| match pair {
            [high, low] => Some(high.to_digit(16)? << 4 | low.to_digit(16)?),
            _ => None,
        };
        let bytes = digits
            .chunks(2)
            .map(|pair| byte(pair).and_then(|byte| u8::try_from(byte).ok()));
        bytes
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not hexadecimal"))
    }
}

impl Step {
    /// The connection that it is about; `None` where there are several or none.
    pub fn on(&self) -> Option<&str> {
        match self {
            Self::Send(message) => Some(message.on()),
            Self::Together { on, .. }
            | Self::Hello { on, .. }
            | Self::Expect { on, .. }
            | Self::Until { on, .. }
            | Self::Reply { on, .. }
            | Self::Close { on, .. } => Some(on.as_deref().unwrap_or(MAIN)),
            Self::Order { .. } | Self::Repeat { .. } => None,
        }
    }

    /// The functions that are called.
    pub fn functions(&self) -> Vec<&str> {
        match self {
            Self::Send(message) => message.function().into_iter().collect(),
            Self::Together { together, .. } => together.iter().filter_map(Message::function).collect(),
            Self::Until { until, .. } => vec![until],
            Self::Repeat { steps, .. } => steps.iter().flat_map(Self::functions).collect(),
            _ => Vec::new(),
        }
    }
}

impl Message {
    /// The call of a function with a payload, and nothing told of it but its name.
    pub fn call(function: &str, payload: &Value) -> Self {
        Self::Call {
            on: None,
            call: function.into(),
            payload: Some(payload.clone()),
            text: None,
            hex: None,
            meta: Map::new(),
            pieces: None,
        }
    }

    fn on(&self) -> &str {
        let (Self::Control { on, .. } | Self::Request { on, .. } | Self::Bytes { on, .. } | Self::Call { on, .. }) =
            self;
        on.as_deref().unwrap_or(MAIN)
    }

    /// How many bytes each write has; `None` for all in one.
    pub fn pieces(&self) -> Option<usize> {
        let (Self::Control { pieces, .. }
        | Self::Request { pieces, .. }
        | Self::Bytes { pieces, .. }
        | Self::Call { pieces, .. }) = self;
        *pieces
    }

    /// The function that the request asks for.
    pub fn function(&self) -> Option<&str> {
        match self {
            Self::Call { call, .. } => call.as_str(),
            Self::Control { control, .. } => control["meta"]["function"].as_str(),
            _ => None,
        }
    }

    /// Whether an answer has to come.
    pub fn is_request(&self) -> bool {
        matches!(self, Self::Request { .. } | Self::Call { .. })
    }

    /// Whether the stream's frames are whole after it.
    pub fn is_whole(&self) -> bool {
        !matches!(self, Self::Bytes { .. })
    }

    /// What goes over the socket.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Control { control, .. } => frame(&json_bytes(control), Control::Yes),
            Self::Request { request, .. } => frame(&json_bytes(request), Control::No),
            Self::Bytes { bytes, .. } => bytes.0.clone(),
            Self::Call {
                call,
                payload,
                text,
                hex,
                meta,
                ..
            } => {
                let body = match (hex, text, payload) {
                    (Some(bytes), ..) => bytes.0.clone(),
                    (_, Some(text), _) => text.clone().into_bytes(),
                    (.., payload) => json_bytes(payload.as_ref().unwrap_or(&Value::Null)),
                };
                let meta = json_bytes(&json!({ "meta": told(call, meta) }));
                [frame(&meta, Control::Yes), frame(&body, Control::No)].concat()
            }
        }
    }
}

/// The fields of a meta: what is always told, and over it what the vector says.
fn told(function: &Value, over: &Map<String, Value>) -> Value {
    let mut meta = json!({
        "id": "conformance",
        "actor": "conformance",
        "function": function,
        "attempt": 1,
        "headers": {},
        "input": "payload",
    });
    for (name, value) in over {
        meta[name] = expand(value);
    }
    let fields = meta.as_object().into_iter().flatten();
    let fields = fields.filter(|(_, value)| !value.is_null());
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn json_bytes(value: &Value) -> Vec<u8> {
    expand(value).to_string().into_bytes()
}

fn frame(body: &[u8], control: Control) -> Vec<u8> {
    let header = Header::new(body.len(), control, Header::CAP).expect("vectors are short");
    [&header.to_bytes(), body].concat()
}

/// The connection of a step that names none.
pub const MAIN: &str = "main";

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(message) => write!(f, "send {message}")?,
            Self::Together { together, .. } => {
                let parts: Vec<String> = together.iter().map(ToString::to_string).collect();
                write!(f, "send in one write {}", parts.join(", "))?;
            }
            Self::Hello { .. } => f.write_str("read the hello")?,
            Self::Expect { expect, .. } => write!(f, "expect the control frame {}", show(expect))?,
            Self::Until { until, reply, .. } => write!(f, "call `{until}` until it answers {}", show(reply))?,
            Self::Reply { reply, .. } => write!(f, "expect the reply {}", show(reply))?,
            Self::Order { order } => write!(f, "expect frames in the order {}", order.join(", "))?,
            Self::Close { .. } => f.write_str("close")?,
            Self::Repeat { repeat, .. } => write!(f, "do {repeat} times")?,
        }
        match self.on() {
            Some(MAIN) | None => Ok(()),
            Some(on) => write!(f, ", on connection {on}"),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control { control, .. } => write!(f, "the control frame {}", show(control))?,
            Self::Request { request, .. } => write!(f, "the request {} without a meta", show(request))?,
            Self::Bytes { bytes, .. } => write!(f, "{} bytes", bytes.0.len())?,
            Self::Call {
                call,
                payload,
                text,
                hex,
                ..
            } => match (hex, text, payload) {
                (Some(bytes), ..) => write!(f, "a call of {call} with {} bytes", bytes.0.len())?,
                (_, Some(text), _) => write!(f, "a call of {call} with the text {}", show(&text.as_str().into()))?,
                (.., payload) => write!(
                    f,
                    "a call of {call} with {}",
                    show(payload.as_ref().unwrap_or(&Value::Null))
                )?,
            },
        }
        match self.pieces() {
            Some(size) => write!(f, ", {size} bytes at a time"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> serde_json::Result<Step> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_call_is_a_meta_and_a_request() {
        let Step::Send(message) = step(r#"{"call":"echo","payload":[1],"meta":{"id":"x","attempt":null}}"#).unwrap()
        else {
            panic!("no message")
        };
        let meta = br#"{"meta":{"actor":"conformance","function":"echo","headers":{},"id":"x","input":"payload"}}"#;
        let length = u8::try_from(meta.len()).unwrap();
        let expected = [&[0x80, 0, 0, length], &meta[..], &[0, 0, 0, 3], b"[1]"].concat();
        assert_eq!(
            String::from_utf8_lossy(&message.to_bytes()),
            String::from_utf8_lossy(&expected)
        );
    }

    #[test]
    fn a_step_says_what_it_does() {
        for (text, said) in [
            (
                r#"{"call":"echo","text":"x","pieces":1}"#,
                "send a call of \"echo\" with the text \"x\", 1 bytes at a time",
            ),
            (
                r#"{"on":"b","expect":{"pong":1}}"#,
                "expect the control frame {\"pong\":1}, on connection b",
            ),
            (r#"{"close":true}"#, "close"),
            (r#"{"bytes":"00 0a FF"}"#, "send 3 bytes"),
        ] {
            assert_eq!(step(text).unwrap().to_string(), said);
        }
    }

    #[test]
    fn what_is_no_step_is_refused() {
        for text in [
            "{}",
            r#"{"on":"a"}"#,
            r#"{"payload":1}"#,
            r#"{"close":false}"#,
            r#"{"call":"echo","payload":1,"peices":1}"#,
            r#"{"bytes":"0"}"#,
            r#"{"bytes":"0g"}"#,
            r#"{"repeat":2}"#,
        ] {
            assert!(step(text).is_err(), "{text}");
        }
    }
}
