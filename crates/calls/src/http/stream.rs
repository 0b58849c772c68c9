//! A result in pieces, as a body: a line for each, or an event.
//!
//! Whoever reads the body carries the call on; one that is dropped has ended it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use serde::Serialize;
use wire::Json;

use crate::{
    Body, BodyError,
    functions::{Event, Exchange},
    reply::{self, ErrorValue, compact},
};

/// How pieces stand in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/x-ndjson`.
    Lines,
    /// `text/event-stream`.
    Events,
}

impl Form {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        }
    }
}

/// The body of a call under way whose first event is here.
pub(super) fn body(first: Event, exchange: Exchange, form: Form) -> Body {
    Body::new(Stream {
        first: Some(first),
        exchange: Some(exchange),
        form,
    })
}

struct Stream {
    first: Option<Event>,
    /// `None` after its end.
    exchange: Option<Exchange>,
    form: Form,
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let event = match (self.first.take(), &mut self.exchange) {
            (Some(event), _) => Some(event),
            (None, Some(exchange)) => ready!(exchange.poll_next(cx)),
            (None, None) => None,
        };
        if !matches!(event, Some(Event::Piece(_))) {
            self.exchange = None;
        }
        Poll::Ready(event.map(|event| Ok(Frame::data(text(&event, self.form)))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.exchange.is_none()
    }
}

/// An event as it is written.
fn text(event: &Event, form: Form) -> Bytes {
    #[derive(Default, Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line<'e> {
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Json>,
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_value: Option<ErrorValue<'e>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'e str>,
    }
    let line = match event {
        Event::Piece(piece) => Line {
            data: Some(compact(piece)),
            status: "partial",
            ..Line::default()
        },
        Event::End(Ok(result)) => Line {
            data: Some(compact(result)),
            status: "ok",
            ..Line::default()
        },
        Event::End(Err(error)) => Line {
            status: "error",
            error: Some(error.to_string()),
            error_value: ErrorValue::of(error),
            code: Some(error.code()),
            ..Line::default()
        },
    };
    let line = reply::line(&line);
    match form {
        Form::Lines => line,
        Form::Events => {
            let mut event = BytesMut::with_capacity(line.len() + 8);
            event.put_slice(b"data: ");
            event.put_slice(&line);
            event.put_u8(b'\n');
            event.freeze()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::CallError;

    #[test]
    fn an_event_is_one_line() {
        let value = || Json::parse("{\n  \"a\": 1\n}".into()).unwrap();
        let text = |event, form| String::from_utf8(text(&event, form).to_vec()).unwrap();
        assert_eq!(
            text(Event::Piece(value()), Form::Lines),
            "{\"data\":{\"a\":1},\"status\":\"partial\"}\n"
        );
        assert_eq!(
            text(Event::End(Ok(value())), Form::Events),
            "data: {\"data\":{\"a\":1},\"status\":\"ok\"}\n\n"
        );
        assert_eq!(
            text(Event::End(Err(CallError::Canceled)), Form::Lines),
            "{\"status\":\"error\",\"error\":\"the call was taken back\",\"code\":\"canceled\"}\n"
        );
    }
}
