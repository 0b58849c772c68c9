//! Writes an answer over HTTP/1.

use std::{
    io::{self, Write as _},
    pin::Pin,
    task::{Poll, ready},
    time::SystemTime,
};

use bytes::{BufMut, BytesMut};
use http::{Extensions, HeaderName, Response, StatusCode, Version, header};
use http_body::{Body as _, Frame};
use tokio::time::Instant;
use tracing::debug;

use super::{Connection, Patience, loan::Line};
use crate::{
    Body,
    http1::{BodyForm, Spelling, write_fields},
};

/// What the request has to say about the form of its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) is_head: bool,
    pub(super) version: Version,
    pub(super) keep_alive: bool,
}

/// What became of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sent {
    /// All of it is written.
    Whole {
        /// Whether another request may follow.
        keep_alive: bool,
    },
    /// Its body broke off, or the client has left: the connection has to end.
    Broken {
        /// Whether the end of the connection would be taken for that of the body.
        would_pass: bool,
    },
}

/// What the head of an answer says about its body.
struct Framing {
    form: BodyForm,
    /// What is left, where the head says how much there is.
    left: Option<u64>,
    keep_alive: bool,
}

impl<H> Connection<H> {
    /// Writes an answer as its body comes.
    pub(super) async fn answer(&mut self, answer: Response<Body>, form: Form, line: &mut Line) -> io::Result<Sent> {
        let (parts, mut body) = answer.into_parts();
        let patience = Patience::of(&parts.extensions);
        let mut framing = head(&mut self.writer.buffer, &parts, &body, form);
        let keep_alive = framing.keep_alive;
        if framing.form == BodyForm::None {
            drop(body);
            self.drain(patience).await?;
            return Ok(Sent::Whole { keep_alive });
        }
        loop {
            let next = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await;
            let frame = match next {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    self.drain(patience).await?;
                    tokio::select! {
                        biased;
                        frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)) => frame,
                        () = line.gone() => return Ok(Sent::Broken { would_pass: false }),
                    }
                }
            };
            match frame.transpose() {
                Ok(Some(frame)) => {
                    if !self.part(frame, &mut framing) {
                        return Ok(self.broken_off("the body is longer than its head says", &framing).await);
                    }
                    if self.writer.is_full() {
                        self.drain(patience).await?;
                    }
                }
                Ok(None) if framing.left.unwrap_or(0) > 0 => {
                    return Ok(self
                        .broken_off("the body is shorter than its head says", &framing)
                        .await);
                }
                Ok(None) => break,
                Err(error) => {
                    debug!(%error, "the body of an answer broke off");
                    return Ok(self.broken_off("the body broke off", &framing).await);
                }
            }
            if body.is_end_stream() && framing.left.unwrap_or(0) == 0 {
                break;
            }
        }
        if framing.form == BodyForm::Chunked && !framing.is_ended() {
            self.writer.end(None, framing.form);
        }
        self.drain(patience).await?;
        Ok(Sent::Whole { keep_alive })
    }

    /// Writes what waits, as long as the client takes some of it now and then.
    ///
    /// # Errors
    /// It does not: [`io::ErrorKind::TimedOut`].
    pub(super) async fn drain(&mut self, patience: Patience) -> io::Result<()> {
        let mut left = usize::MAX;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(drained) = self.writer.poll_drain(cx) {
                return Poll::Ready(drained);
            }
            let waiting = self.writer.waiting();
            if waiting < left {
                left = waiting;
                self.alarm
                    .set(patience.0.and_then(|patience| Instant::now().checked_add(patience)));
            }
            ready!(self.alarm.poll(cx));
            debug!("a client takes nothing more of its answer");
            Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
        })
        .await
    }

    /// Adds a part; says whether it fits.
    fn part(&mut self, frame: Frame<bytes::Bytes>, framing: &mut Framing) -> bool {
        match frame.into_data() {
            Ok(data) => {
                if let Some(left) = &mut framing.left {
                    match left.checked_sub(data.len() as u64) {
                        Some(rest) => *left = rest,
                        None => return false,
                    }
                }
                self.writer.push(data, framing.form);
            }
            Err(frame) => {
                if let (Ok(trailers), BodyForm::Chunked) = (frame.into_trailers(), framing.form) {
                    self.writer.end(Some(&trailers), framing.form);
                    framing.end();
                }
            }
        }
        true
    }

    /// Lets go what waits, as far as the client takes it at once.
    async fn broken_off(&mut self, why: &'static str, framing: &Framing) -> Sent {
        debug!(why, "an answer is not finished");
        let _ = std::future::poll_fn(|cx| Poll::Ready(self.writer.poll_drain(cx))).await;
        let would_pass = framing.form == BodyForm::Plain && framing.left.is_none();
        Sent::Broken { would_pass }
    }
}

impl Framing {
    /// The end of the chunks is written already.
    fn end(&mut self) {
        self.left = Some(0);
    }

    fn is_ended(&self) -> bool {
        self.left == Some(0)
    }
}

/// Writes the head, and decides how the body is written.
fn head(out: &mut BytesMut, parts: &http::response::Parts, body: &Body, form: Form) -> Framing {
    let status = parts.status;
    status_line(out, status, &parts.extensions);
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    let spelling = parts.extensions.get::<Spelling>();
    let has_length = status != StatusCode::NO_CONTENT && !status.is_informational();
    write_fields(out, &parts.headers, spelling, |name| {
        let is_ours = name == header::TRANSFER_ENCODING || (!switches && is_of_connection(name));
        !is_ours && (has_length || name != header::CONTENT_LENGTH)
    });
    if !parts.headers.contains_key(header::DATE) && !switches {
        put(
            out,
            format_args!("Date: {}\r\n", httpdate::HttpDate::from(SystemTime::now())),
        );
    }
    let has_none = form.is_head || !has_length || status == StatusCode::NOT_MODIFIED;
    let said = parts.headers.get(header::CONTENT_LENGTH);
    let said = said.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let exact = body.size_hint().exact();
    let mut keep_alive = form.keep_alive;
    let (body_form, left) = if has_none {
        if let (true, true, None, Some(1..)) = (form.is_head, has_length, said, exact) {
            put(out, format_args!("Content-Length: {}\r\n", exact.unwrap_or(0)));
        }
        (BodyForm::None, None)
    } else if let Some(length) = said {
        (BodyForm::Plain, Some(length))
    } else if let Some(length) = exact {
        put(out, format_args!("Content-Length: {length}\r\n"));
        (BodyForm::Plain, Some(length))
    } else if form.version == Version::HTTP_11 {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        (BodyForm::Chunked, None)
    } else {
        keep_alive = false;
        (BodyForm::Plain, None)
    };
    if !switches {
        if !keep_alive {
            out.extend_from_slice(b"Connection: close\r\n");
        } else if form.version == Version::HTTP_10 {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
    Framing {
        form: body_form,
        left,
        keep_alive,
    }
}

/// The line with the status; in the words of the upstream where there are some.
pub(super) fn status_line(out: &mut BytesMut, status: StatusCode, extensions: &Extensions) {
    out.reserve(512);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    match extensions.get().and_then(Spelling::reason) {
        Some(words) => out.extend_from_slice(words),
        None => out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes()),
    }
    out.extend_from_slice(b"\r\n");
}

fn is_of_connection(name: &HeaderName) -> bool {
    *name == header::CONNECTION || name.as_str() == "keep-alive" || name.as_str() == "proxy-connection"
}

fn put(out: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    // Writing to a buffer does not fail.
    let _ = out.writer().write_fmt(text);
}
