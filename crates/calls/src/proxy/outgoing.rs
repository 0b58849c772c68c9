//! The body of a request on its way to an upstream, remembered as long as it may have to go again.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body as _;

use super::headers::trailers_up;
use crate::{Body, BodyError};

/// The body of a request.
#[derive(Debug)]
pub(super) struct Outgoing {
    body: Body,
    /// Parts that have come and were not given out, or may be wanted again.
    parts: VecDeque<Bytes>,
    /// How many of them were given out.
    given: usize,
    bytes: usize,
    trailers: Option<Box<HeaderMap>>,
    has_ended: bool,
    /// Whether all of it so far is still there.
    is_remembered: bool,
    /// Whether its head says that it is small.
    is_small: bool,
}

/// The next of a body.
#[derive(Debug)]
pub(super) enum Part {
    Data(Bytes),
    End(Option<HeaderMap>),
}

/// What is remembered of a body.
const MOST: usize = 64 * 1024;

impl Outgoing {
    /// A body that is remembered if its request may be sent twice.
    pub(super) fn new(body: Body, may_repeat: bool) -> Self {
        let has_ended = body.is_end_stream();
        let length = body.size_hint().exact();
        Self {
            body,
            parts: VecDeque::new(),
            given: 0,
            bytes: 0,
            trailers: None,
            has_ended,
            is_remembered: may_repeat,
            is_small: length.is_some_and(|length| length <= MOST as u64),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.has_ended && self.parts.is_empty() && self.trailers.is_none()
    }

    /// Takes what has come already, so that a body that is none is noticed before anything is sent.
    pub(super) async fn look(&mut self) -> Result<(), BodyError> {
        std::future::poll_fn(|cx| {
            while !self.has_ended && self.bytes < MOST / 4 {
                match self.poll_more(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => break,
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Begins again from the start, if that can be done.
    pub(super) fn rewind(&mut self) -> bool {
        let can = self.is_remembered && (self.has_ended || self.is_small);
        if can {
            self.given = 0;
        }
        can
    }

    /// The next part; after the end nothing may be asked for.
    pub(super) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Part, BodyError>> {
        loop {
            if self.is_remembered {
                if let Some(part) = self.parts.get(self.given) {
                    self.given += 1;
                    return Poll::Ready(Ok(Part::Data(part.clone())));
                }
            } else if let Some(part) = self.parts.pop_front() {
                return Poll::Ready(Ok(Part::Data(part)));
            }
            if self.has_ended {
                return Poll::Ready(Ok(Part::End(self.trailers.as_deref().cloned())));
            }
            ready!(self.poll_more(cx))?;
        }
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()? {
            None => self.has_ended = true,
            Some(frame) => match frame.into_data() {
                Ok(data) => {
                    self.bytes += data.len();
                    self.parts.push_back(data);
                    if self.is_remembered && self.bytes > MOST {
                        self.is_remembered = false;
                        self.parts.drain(..self.given);
                    }
                    self.has_ended = self.body.is_end_stream();
                }
                Err(frame) => {
                    self.trailers = frame.into_trailers().ok().map(|own| Box::new(trailers_up(own)));
                    self.has_ended = true;
                }
            },
        }
        Poll::Ready(Ok(()))
    }
}
