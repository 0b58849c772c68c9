//! The body of an answer, as it comes in: whole, or frame by frame.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::{
    Response, StatusCode,
    body::{Body, Incoming},
    header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING},
};

use super::{
    Event, Link,
    split::{Events, Lines, TooLong},
};
use crate::{BadAnswer, Side, limits::Limits, trouble::Trouble};

/// An answer whose head is here.
#[derive(Debug)]
pub(crate) struct Answer<'l> {
    link: &'l mut Link,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    got: u64,
    /// Whether it says where it ends: one that ends with its connection may have been cut off.
    delimited: bool,
}

/// How a stream of frames is cut.
#[derive(Debug)]
pub(crate) enum Stream {
    Lines(Lines),
    Events(Events),
}

impl<'l> Answer<'l> {
    pub(super) fn new(link: &'l mut Link, response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let delimited = [CONTENT_LENGTH, TRANSFER_ENCODING];
        Self {
            link,
            status: head.status,
            delimited: delimited.iter().any(|name| head.headers.contains_key(name)),
            headers: head.headers,
            body,
            got: 0,
        }
    }

    /// All of it.
    ///
    /// # Cancellation
    /// Dropping the future loses what has come: the connection is to be closed.
    pub(crate) async fn whole(&mut self, cap: u32, limits: &Limits) -> Result<Bytes, Trouble> {
        let too_large = |bytes| Trouble::TooLarge {
            whose: Side::Reply,
            bytes,
        };
        let cap = u64::from(cap);
        if let Some(bytes) = self.body.size_hint().exact().filter(|bytes| *bytes > cap) {
            return Err(too_large(bytes));
        }
        let mut whole = Bytes::new();
        let mut pieces = BytesMut::new();
        while let Some(piece) = self.piece(limits).await? {
            if self.got > cap {
                return Err(too_large(self.got));
            }
            if whole.is_empty() && pieces.is_empty() {
                // Most answers come in one piece.
                whole = piece;
            } else {
                if pieces.is_empty() {
                    pieces.extend_from_slice(&whole);
                }
                pieces.extend_from_slice(&piece);
            }
        }
        Ok(if pieces.is_empty() { whole } else { pieces.freeze() })
    }

    /// The next event of a stream, or the next line as an event without a name; `None` at its end.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing that was whole.
    pub(crate) async fn next(&mut self, stream: &mut Stream, limits: &Limits) -> Result<Option<Event>, Trouble> {
        loop {
            if let Some(event) = stream.next().map_err(too_long)? {
                return Ok(Some(event));
            }
            match self.piece(limits).await {
                Ok(Some(piece)) => stream.push(&piece),
                Ok(None) => return stream.rest().map_err(too_long),
                // Between two frames it is the connection that was lost, within one it is the frame.
                Err(Trouble::Bad(BadAnswer::CutShort { got, of })) => {
                    return Err(match stream.rest() {
                        Ok(None) => Trouble::Lost(std::io::ErrorKind::UnexpectedEof.into()),
                        _ => Trouble::Bad(BadAnswer::CutShort { got, of }),
                    });
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// What it means that a stream ended without its final frame.
    pub(crate) fn unfinished(&self) -> Trouble {
        if self.delimited {
            Trouble::Bad(BadAnswer::Unfinished)
        } else {
            Trouble::Lost(std::io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Gives a stream whose last frame has come a moment to end by itself, so that its handler is not cut off in what
    /// it does afterwards, and the connection can be kept.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub(crate) async fn linger(&mut self) {
        let end = async {
            // More frames than the last one are nobody's; the connection is closed.
            if let Some(Ok(frame)) = self.link.drive(self.body.frame()).await
                && frame
                    .data_ref()
                    .is_some_and(|data| data.iter().all(u8::is_ascii_whitespace))
            {
                self.link.drive(self.body.frame()).await;
            }
        };
        // It may go on for as long as it likes: the reply is here.
        let _ = tokio::time::timeout(LINGER, end).await;
    }

    /// Whether nothing of it is left to come.
    pub(crate) fn is_over(&self) -> bool {
        self.body.is_end_stream()
    }

    async fn piece(&mut self, limits: &Limits) -> Result<Option<Bytes>, Trouble> {
        loop {
            let frame = limits.keep(self.link.drive(self.body.frame())).await?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    // Trailers say nothing to us.
                    let Ok(piece) = frame.into_data() else { continue };
                    self.got += piece.len() as u64;
                    return Ok(Some(piece));
                }
                Some(Err(source)) if source.is_parse() => return Err(Trouble::Bad(BadAnswer::NotHttp { source })),
                Some(Err(_)) => {
                    let length = self.headers.get(CONTENT_LENGTH);
                    let of = length.and_then(|length| length.to_str().ok()?.parse().ok());
                    return Err(Trouble::Bad(BadAnswer::CutShort { got: self.got, of }));
                }
            }
        }
    }
}

impl Stream {
    fn next(&mut self) -> Result<Option<Event>, TooLong> {
        match self {
            Self::Events(events) => events.next(),
            Self::Lines(lines) => loop {
                match lines.next()? {
                    Some(line) if is_blank(&line) => {}
                    line => return Ok(line.map(unnamed)),
                }
            },
        }
    }

    fn rest(&mut self) -> Result<Option<Event>, TooLong> {
        match self {
            Self::Events(events) => events.rest(),
            Self::Lines(lines) => Ok(Some(lines.rest()).filter(|rest| !is_blank(rest)).map(unnamed)),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Events(events) => events.push(bytes),
            Self::Lines(lines) => lines.push(bytes),
        }
    }
}

/// How long a stream may take to end after its last frame.
const LINGER: Duration = Duration::from_millis(100);

fn unnamed(data: Bytes) -> Event {
    Event {
        name: String::new(),
        data,
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

fn too_long(TooLong { bytes }: TooLong) -> Trouble {
    Trouble::TooLarge {
        whose: Side::Reply,
        bytes,
    }
}
