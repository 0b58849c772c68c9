//! The bytes of a connection on their way out.

use std::{
    io::{self, IoSlice, Write as _},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{Spelling, request::is_framing};
use crate::socket::WriteHalf;

/// The half of a connection that is written, and what waits to be written.
///
/// Small parts are put together into one write; a large one is written from where it lies.
#[derive(Debug)]
pub(crate) struct Writer {
    half: WriteHalf,
    /// Goes first.
    pub(crate) buffer: BytesMut,
    /// Goes next.
    data: Bytes,
    /// Goes last.
    tail: &'static [u8],
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyForm {
    /// There is none: what comes is dropped.
    None,
    /// As it is: its head says how long it is, or the end of the connection does.
    Plain,
    /// In chunks.
    Chunked,
}

/// A part that is longer is not copied.
const SMALL: usize = 4 * 1024;
/// So much waits at most.
const FULL: usize = 32 * 1024;

impl Writer {
    pub(crate) fn new(half: WriteHalf) -> Self {
        Self {
            half,
            buffer: BytesMut::new(),
            data: Bytes::new(),
            tail: b"",
        }
    }

    /// Whether what waits has to be written before more is added.
    pub(crate) fn is_full(&self) -> bool {
        !self.data.is_empty() || !self.tail.is_empty() || self.buffer.len() >= FULL
    }

    /// Adds a part of a body; the writer must not be full.
    pub(crate) fn push(&mut self, data: Bytes, form: BodyForm) {
        if data.is_empty() || form == BodyForm::None {
            return;
        }
        debug_assert!(!self.is_full(), "what waits is written first");
        let tail: &[u8] = match form {
            BodyForm::Chunked => {
                // Writing to a buffer does not fail.
                let _ = write!((&mut self.buffer).writer(), "{:x}\r\n", data.len());
                b"\r\n"
            }
            _ => b"",
        };
        if data.len() <= SMALL {
            self.buffer.extend_from_slice(&data);
            self.buffer.extend_from_slice(tail);
        } else {
            self.data = data;
            self.tail = tail;
        }
    }

    /// Adds the end of a body; the writer must not be full.
    pub(crate) fn end(&mut self, trailers: Option<&HeaderMap>, form: BodyForm) {
        if form == BodyForm::Chunked {
            self.buffer.extend_from_slice(b"0\r\n");
            if let Some(trailers) = trailers {
                // HTTP/2 lets any field stand there.
                write_fields(&mut self.buffer, trailers, None, |name| !is_framing(name));
            }
            self.buffer.extend_from_slice(b"\r\n");
        }
    }

    /// Writes what waits.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let half = Pin::new(&mut self.half);
            let written = if self.data.is_empty() {
                let rest: &[u8] = if self.buffer.is_empty() {
                    self.tail
                } else {
                    &self.buffer
                };
                if rest.is_empty() {
                    break;
                }
                ready!(half.poll_write(cx, rest))?
            } else {
                let pieces = [&self.buffer[..], &self.data, self.tail].map(IoSlice::new);
                ready!(half.poll_write_vectored(cx, &pieces))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        // TLS keeps records back until it is asked; sockets do nothing here.
        Pin::new(&mut self.half).poll_flush(cx)
    }

    /// How many bytes wait.
    pub(crate) fn waiting(&self) -> usize {
        self.buffer.len() + self.data.len() + self.tail.len()
    }

    /// Says that nothing more comes.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        self.half.shutdown().await
    }

    /// The half alone; nothing may wait.
    pub(crate) fn into_half(self) -> WriteHalf {
        debug_assert!(self.buffer.is_empty() && self.data.is_empty() && self.tail.is_empty());
        self.half
    }

    /// Breaks the connection off; see [`WriteHalf::abort`].
    pub(crate) fn abort(self) {
        self.half.abort();
    }

    fn advance(&mut self, written: usize) {
        let of_buffer = written.min(self.buffer.len());
        if of_buffer == self.buffer.len() {
            self.buffer.clear();
        } else {
            self.buffer.advance(of_buffer);
        }
        let of_data = (written - of_buffer).min(self.data.len());
        self.data.advance(of_data);
        let of_tail = written - of_buffer - of_data;
        self.tail = &self.tail[of_tail..];
    }
}

/// Writes those fields whose name is wanted, a line each.
pub(crate) fn write_fields(
    out: &mut BytesMut,
    headers: &HeaderMap,
    spelling: Option<&Spelling>,
    wanted: impl Fn(&HeaderName) -> bool,
) {
    let mut speller = spelling.map(Spelling::speller);
    for (name, value) in headers {
        if !wanted(name) {
            continue;
        }
        let spelt = speller
            .as_mut()
            .map_or(name.as_str().as_bytes(), |speller| speller.spell(name));
        out.reserve(spelt.len() + value.len() + 4);
        out.extend_from_slice(spelt);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}
