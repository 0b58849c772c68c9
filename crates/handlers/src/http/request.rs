//! A call as an HTTP request.
//!
//! Pure. Header values are ASCII: what a value has beyond that is percent-encoded, byte by byte, and so are `%` itself
//! and a blank at either end, which would be lost. Whoever decodes has the text as it was.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::{
    Method, Request,
    body::{Body, Frame, SizeHint},
    header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue},
};

use super::stream::Seen;
use crate::Call;

/// A request's body, which says when it was handed over.
#[derive(Debug)]
pub(crate) struct Outgoing {
    body: Content,
    seen: Option<Arc<Seen>>,
}

/// A body that streams through: it is somebody else's.
pub type StreamBody = UnsyncBoxBody<Bytes, BodyError>;

/// Why somebody else's body broke off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug)]
enum Content {
    /// In one piece; `None` when it has gone out.
    Whole(Option<Bytes>),
    Stream(StreamBody),
}

impl Outgoing {
    /// Nothing of it has gone out.
    pub(crate) fn new(body: Bytes) -> Self {
        Self {
            body: Content::Whole(Some(body).filter(|body| !body.is_empty())),
            seen: None,
        }
    }

    /// A body that comes while it goes out.
    pub(super) fn stream(body: StreamBody) -> Self {
        Self {
            body: Content::Stream(body),
            seen: None,
        }
    }

    pub(super) fn watch(&mut self, seen: Arc<Seen>) {
        if self.is_end_stream() {
            seen.handed.store(true, Ordering::Relaxed);
        }
        self.seen = Some(seen);
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match &mut self.body {
            Content::Whole(body) => body.take().map(|body| Ok(Frame::data(body))),
            Content::Stream(body) => match Pin::new(body).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => return Poll::Pending,
            },
        };
        let is_whole = matches!(self.body, Content::Whole(_));
        if let Some(seen) = self
            .seen
            .as_ref()
            .filter(|_| is_whole || frame.is_none() || self.is_end_stream())
        {
            seen.handed.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Content::Whole(body) => body.is_none(),
            Content::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Content::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Content::Stream(body) => body.size_hint(),
        }
    }
}

/// A bare request with a JSON body.
pub(crate) fn post(path: &str, host: &str, body: Bytes) -> Request<Outgoing> {
    let mut request = Request::new(Outgoing::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(HOST, value(host));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request
}

/// The request that a call is.
pub(super) fn invoke(call: &Call, path: &str, host: &str) -> Request<Outgoing> {
    let mut request = post(path, host, call.body.clone());
    let headers = request.headers_mut();
    for name in TRACE {
        // Verbatim or not at all: what others made of it they have to recognise.
        if let Some(verbatim) = call.header(name).and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(name, verbatim);
        }
    }
    let mut set = |name: &'static str, text: &str| headers.insert(HeaderName::from_static(name), value(text));
    set("x-outrigger-id", &call.id);
    set("x-outrigger-actor", &call.actor);
    if let Some(function) = &call.function {
        let package = call
            .package
            .as_ref()
            .map_or_else(String::new, |package| format!("{package}/"));
        set("x-outrigger-function", &format!("{package}{function}"));
    }
    set("x-outrigger-attempt", &call.attempt.to_string());
    if let Some(deadline) = &call.deadline {
        set("x-outrigger-deadline", &deadline.to_string());
    }
    request
}

/// The value of a header that says `text`.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(&encoded(text)).expect("what is left is printable ASCII")
}

fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let last = text.len().saturating_sub(1);
    let mut encoded = String::with_capacity(text.len());
    for (index, byte) in text.bytes().enumerate() {
        let is_lost = byte == b' ' && (index == 0 || index == last);
        if (byte == b' ' || byte.is_ascii_graphic()) && byte != b'%' && !is_lost {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes all that is written");
        }
    }
    encoded
}

/// The headers of a message that are headers of the request too.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::{Input, Json};

    use super::*;

    fn call() -> Call {
        Call {
            id: "gr\u{fc}n 100%".into(),
            actor: "a".into(),
            package: Some("p".into()),
            function: Some("f".into()),
            attempt: 2,
            deadline: Some("2030-01-01T00:00:00Z".parse().unwrap()),
            headers: Json::parse(r#"{"traceparent":"00-1-2-01","tracestate":7,"other":"x"}"#.into()).unwrap(),
            input: Input::Payload,
            body: "{ }".into(),
        }
    }

    #[test]
    fn a_call_is_told_in_headers() {
        let request = invoke(&call(), "/v1/invoke", "localhost");
        assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/v1/invoke"));
        let headers: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(
            headers,
            [
                "host: localhost",
                "content-type: application/json",
                "traceparent: 00-1-2-01",
                "x-outrigger-id: gr%C3%BCn 100%25",
                "x-outrigger-actor: a",
                "x-outrigger-function: p/f",
                "x-outrigger-attempt: 2",
                "x-outrigger-deadline: 2030-01-01T00:00:00Z",
            ]
        );
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let call = Call {
            package: None,
            function: None,
            deadline: None,
            headers: Json::null(),
            ..call()
        };
        let request = invoke(&call, "/invoke", "localhost");
        for name in [
            "traceparent",
            "tracestate",
            "x-outrigger-function",
            "x-outrigger-deadline",
        ] {
            assert!(request.headers().get(name).is_none(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_id_is_a_value_and_can_be_read_back(id in "\\PC{1,40}") {
            let value = value(&id);
            let text = value.to_str().expect("ASCII");
            prop_assert_eq!(text.trim(), text);
            let mut bytes = Vec::new();
            let mut rest = text;
            while let Some(at) = rest.find('%') {
                bytes.extend(&rest.as_bytes()[..at]);
                bytes.push(u8::from_str_radix(&rest[at + 1..at + 3], 16).expect("two digits"));
                rest = &rest[at + 3..];
            }
            bytes.extend(rest.as_bytes());
            prop_assert_eq!(String::from_utf8(bytes).expect("text"), id);
        }
    }
}
