//! One body as it comes in.

use std::{
    io,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{BadBody, Decoded, Decoder, Reader};

/// A body, and the connection that it comes by.
#[derive(Debug)]
pub(crate) struct Incoming {
    reader: Reader,
    decoder: Decoder,
    has_failed: bool,
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// What came is no body, or not the whole of it.
    #[error(transparent)]
    Bad(#[from] BadBody),
    /// The connection broke.
    #[error("the connection broke in the middle of a body")]
    Io(#[source] io::Error),
}

impl Incoming {
    pub(crate) fn new(reader: Reader, decoder: Decoder) -> Self {
        Self {
            reader,
            decoder,
            has_failed: false,
        }
    }

    /// Whether all of it has been read.
    pub(crate) fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// Whether what came was no body: nothing can be known of what comes after it.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Whether something of it has come that was not taken.
    pub(crate) fn has_begun(&self) -> bool {
        self.reader.has_more()
    }

    /// The connection; what was not read of the body comes first.
    pub(crate) fn into_reader(self) -> Reader {
        self.reader
    }

    /// All of it, where that has come already.
    pub(crate) fn whole(&mut self) -> Option<Bytes> {
        self.decoder.whole(&mut self.reader.buffer)
    }

    /// The next part.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ReadError>>> {
        loop {
            match self.decoder.decode(&mut self.reader.buffer) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Decoded::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::More) => {}
                Err(error) => {
                    self.has_failed = true;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
            match ready!(self.reader.poll_fill(cx)) {
                Ok(0) => {
                    return Poll::Ready(self.decoder.close().err().map(|error| Err(error.into())));
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(ReadError::Io(error)))),
            }
        }
    }

    /// How much of it is left.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.decoder {
            Decoder::Done => SizeHint::with_exact(0),
            Decoder::Length(left) => SizeHint::with_exact(left),
            Decoder::Chunked(_) | Decoder::UntilClose => SizeHint::default(),
        }
    }
}
