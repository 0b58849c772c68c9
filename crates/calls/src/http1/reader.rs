//! The bytes of a connection as they come in.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::{LineEnd, Scan, Scanner, TooLarge};
use crate::socket::ReadHalf;

/// The half of a connection that is read, and what has come and was not looked at yet.
#[derive(Debug)]
pub(crate) struct Reader {
    half: ReadHalf,
    pub(super) buffer: BytesMut,
    /// How much is read at once; grows while reads are full.
    portion: usize,
}

/// Why no head came.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The other end closed before the first byte.
    Closed,
    /// The other end closed, or the connection broke, in the middle.
    Broken(io::Error),
    /// It is none.
    Refused(TooLarge),
}

const SMALL: usize = 8 * 1024;
const LARGE: usize = 256 * 1024;

impl Reader {
    /// `begun` is what has come already.
    pub(crate) fn new(half: ReadHalf, begun: BytesMut) -> Self {
        Self {
            half,
            buffer: begun,
            portion: SMALL,
        }
    }

    /// Whether something has come that was not looked at.
    pub(crate) fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Reads what there is; 0 bytes are the end.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.buffer.reserve(self.portion);
        // The future keeps nothing: it can be made anew each time.
        let read = ready!(pin!(self.half.read_buf(&mut self.buffer)).poll(cx))?;
        if read >= self.portion {
            self.portion = (self.portion * 2).min(LARGE);
        }
        Poll::Ready(Ok(read))
    }

    /// Reads up to the end of a head, and takes it out.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing: what has come stays here.
    pub(crate) async fn head(&mut self, line_end: LineEnd) -> Result<Bytes, HeadError> {
        let mut scanner = Scanner::new(line_end);
        std::future::poll_fn(|cx| self.poll_head(cx, &mut scanner)).await
    }

    /// The same in steps; the scanner belongs to this one head.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>, scanner: &mut Scanner) -> Poll<Result<Bytes, HeadError>> {
        loop {
            match scanner.scan(&self.buffer) {
                // Copied, so that the fields of a head do not hold on to the whole buffer.
                Ok(Scan::Whole { start, end }) => {
                    let head = Bytes::copy_from_slice(&self.buffer[start..end]);
                    bytes::Buf::advance(&mut self.buffer, end);
                    return Poll::Ready(Ok(head));
                }
                Ok(Scan::More) => {}
                Err(too_large) => return Poll::Ready(Err(HeadError::Refused(too_large))),
            }
            match ready!(self.poll_fill(cx)) {
                Ok(0) if !scanner.has_begun() => return Poll::Ready(Err(HeadError::Closed)),
                Ok(0) => return Poll::Ready(Err(HeadError::Broken(io::ErrorKind::UnexpectedEof.into()))),
                Ok(_) => {}
                Err(error) if !scanner.has_begun() && self.buffer.is_empty() => {
                    return Poll::Ready(Err(if is_gone(&error) {
                        HeadError::Closed
                    } else {
                        HeadError::Broken(error)
                    }));
                }
                Err(error) => return Poll::Ready(Err(HeadError::Broken(error))),
            }
        }
    }

    /// Whether what has come cannot become a message that begins so; empty lines before it are passed over.
    pub(crate) fn is_unlike(&self, begin: &[u8]) -> bool {
        let from = self
            .buffer
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        self.buffer[from..]
            .iter()
            .zip(begin)
            .any(|(byte, wanted)| byte != wanted)
    }

    /// Forgets what has come.
    pub(crate) fn discard(&mut self) {
        self.buffer.clear();
    }

    /// A message is over: the next one begins with small reads.
    pub(crate) fn rest(&mut self) {
        self.portion = SMALL;
        if self.buffer.is_empty() && self.buffer.capacity() > 2 * SMALL {
            self.buffer = BytesMut::new();
        }
    }
}

/// Whether the other end is gone, rather than the network in trouble.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}

/// What was read too far is given out first.
impl AsyncRead for Reader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.buffer.is_empty() {
            return Pin::new(&mut self.half).poll_read(cx, out);
        }
        let length = out.remaining().min(self.buffer.len());
        out.put_slice(&self.buffer.split_to(length));
        Poll::Ready(Ok(()))
    }
}
