//! Frames out of a stream socket.
//!
//! A small frame comes with one read, length and body. A large one is read straight into a buffer of its own, which
//! grows only as bytes come: a length that lies costs nothing. What has been read stays here when a read is
//! cancelled.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::net::UnixStream;
use wire::Header;

use crate::{BadAnswer, Side, trouble::Trouble};

/// One frame's body.
#[derive(Debug)]
pub(crate) enum Incoming {
    Data(Bytes),
    Control(Bytes),
}

/// Why there is no next frame.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The connection ended between two frames.
    Ended(io::Error),
    /// The connection ended within a frame, the length in front not counted in `got` where it is known.
    CutShort { got: u64, of: Option<u64> },
    /// A frame over the cap.
    TooLarge { bytes: u64 },
}

impl ReadError {
    /// What it means where `at_end` is what the end of the connection means between two frames.
    pub(crate) fn trouble(self, at_end: fn(io::Error) -> Trouble) -> Trouble {
        match self {
            Self::Ended(source) => at_end(source),
            Self::CutShort { got, of } => Trouble::Bad(BadAnswer::CutShort { got, of }),
            Self::TooLarge { bytes } => Trouble::TooLarge {
                whose: Side::Reply,
                bytes,
            },
        }
    }
}

/// What a read without waiting has found.
#[derive(Debug)]
pub(super) enum Filled {
    /// Bytes.
    Some,
    /// Nothing for now.
    Nothing,
    /// The end.
    End(io::Error),
}

/// The bytes of one connection that are not yet frames.
#[derive(Debug)]
pub(crate) struct Reader {
    held: BytesMut,
    large: Option<Large>,
    max_frame: u32,
}

/// A frame that does not fit a usual read.
#[derive(Debug)]
struct Large {
    body: Vec<u8>,
    header: Header,
}

impl Reader {
    pub(crate) fn new(max_frame: u32) -> Self {
        Self {
            held: BytesMut::new(),
            large: None,
            max_frame,
        }
    }

    /// The next frame.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self, stream: &UnixStream) -> Result<Incoming, ReadError> {
        loop {
            if let Some(frame) = self.ready()? {
                return Ok(frame);
            }
            if let Err(error) = stream.readable().await {
                return Err(self.end(error));
            }
            if let Filled::End(error) = self.fill(stream) {
                return Err(self.end(error));
            }
        }
    }

    /// The next frame, if all of it is here.
    pub(super) fn ready(&mut self) -> Result<Option<Incoming>, ReadError> {
        self.open()?;
        if let Some(large) = self.large.take_if(|large| large.missing() == 0) {
            return Ok(Some(Incoming::new(large.header, Bytes::from(large.body))));
        }
        let Some(header) = self.header() else { return Ok(None) };
        let whole = HEAD + header.len as usize;
        if self.held.len() < whole {
            return Ok(None);
        }
        let mut frame = self.held.split_to(whole).freeze();
        let body = frame.split_off(HEAD);
        Ok(Some(Incoming::new(header, body)))
    }

    /// Looks at the length of the frame that comes next, and makes room for it.
    pub(super) fn open(&mut self) -> Result<(), ReadError> {
        if self.large.is_some() {
            return Ok(());
        }
        let Some(header) = self.header() else { return Ok(()) };
        // A hello with many functions is no payload: a low cap is not meant for it.
        let cap = if header.control {
            self.max_frame.max(CONTROL_CAP)
        } else {
            self.max_frame
        };
        if header.len > cap {
            return Err(ReadError::TooLarge {
                bytes: u64::from(header.len),
            });
        }
        let whole = HEAD + header.len as usize;
        if whole <= USUAL {
            self.held.reserve(whole.saturating_sub(self.held.len()));
        } else if self.held.len() < whole {
            let mut body = Vec::with_capacity(FIRST_STEP.min(header.len as usize));
            body.extend_from_slice(&self.held[HEAD..]);
            self.held.clear();
            self.large = Some(Large { body, header });
        }
        Ok(())
    }

    /// Reads what there is, without waiting.
    pub(super) fn fill(&mut self, stream: &UnixStream) -> Filled {
        let got = if let Some(large) = &mut self.large {
            large.make_room();
            let missing = large.missing();
            if missing == 0 {
                return Filled::Nothing;
            }
            stream.try_read_buf(&mut (&mut large.body).limit(missing))
        } else {
            if self.held.capacity() - self.held.len() < LEAST {
                self.held.reserve(USUAL);
            }
            stream.try_read_buf(&mut self.held)
        };
        match got {
            Ok(0) => Filled::End(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Filled::Some,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Filled::Nothing,
                _ => Filled::End(error),
            },
        }
    }

    /// Whether there is not one byte that has not been given out.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.large.is_none()
    }

    /// Whether the frame that has begun, if one has, is a control frame.
    pub(super) fn is_within_control(&self) -> bool {
        match &self.large {
            Some(large) => large.header.control,
            None => self.held.first().is_some_and(|byte| byte & 0x80 != 0),
        }
    }

    /// Whether reading ahead, with nobody taking frames out, is still within bounds.
    pub(super) fn has_room(&self) -> bool {
        match &self.large {
            Some(large) => large.missing() > 0,
            None => self.held.len() < AHEAD,
        }
    }

    /// What the end of the connection means here.
    pub(super) fn end(&self, error: io::Error) -> ReadError {
        match (&self.large, self.header()) {
            (Some(large), _) => ReadError::CutShort {
                got: large.body.len() as u64,
                of: Some(u64::from(large.header.len)),
            },
            (None, Some(header)) => ReadError::CutShort {
                got: (self.held.len() - HEAD) as u64,
                of: Some(u64::from(header.len)),
            },
            (None, None) if self.held.is_empty() => ReadError::Ended(error),
            (None, None) => ReadError::CutShort {
                got: self.held.len() as u64,
                of: None,
            },
        }
    }

    fn header(&self) -> Option<Header> {
        self.held.first_chunk::<HEAD>().map(|bytes| Header::from_bytes(*bytes))
    }
}

impl Incoming {
    fn new(header: Header, body: Bytes) -> Self {
        if header.control {
            Self::Control(body)
        } else {
            Self::Data(body)
        }
    }
}

impl Large {
    fn missing(&self) -> usize {
        self.header.len as usize - self.body.len()
    }

    /// Doubles what is there, up to the frame's length and not a byte more.
    fn make_room(&mut self) {
        if self.body.len() == self.body.capacity() {
            let more = self.body.len().max(FIRST_STEP).min(self.missing());
            self.body.reserve_exact(more);
        }
    }
}

/// Bytes of the length in front of a frame.
const HEAD: usize = 4;
/// What is made ready for frames of a usual size; a longer one gets a buffer of its own.
const USUAL: usize = 16 * 1024;
/// With less room than this a new buffer is made ready.
const LEAST: usize = 2 * 1024;
/// The least cap of control frames.
const CONTROL_CAP: u32 = 16 * 1024 * 1024;
/// The first buffer of a large frame.
const FIRST_STEP: usize = 256 * 1024;
/// How much is read ahead while we are still writing.
const AHEAD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn pair(max_frame: u32) -> (UnixStream, UnixStream, Reader) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (ours, theirs, Reader::new(max_frame))
    }

    #[tokio::test]
    async fn a_length_that_lies_reserves_no_memory() {
        let (ours, mut theirs, mut reader) = pair(Header::CAP);
        theirs.write_all(&Header::CAP.to_be_bytes()).await.unwrap();
        theirs.write_all(b"12345").await.unwrap();
        drop(theirs);
        let error = reader.next(&ours).await.unwrap_err();
        assert!(matches!(error, ReadError::CutShort { got: 5, of: Some(of) } if of == u64::from(Header::CAP)));
        assert!(reader.large.unwrap().body.capacity() <= FIRST_STEP);
    }

    #[tokio::test]
    async fn a_large_body_has_a_buffer_of_its_own_length() {
        let (ours, mut theirs, mut reader) = pair(Header::CAP);
        let length = 5_000_001_u32;
        let write = async {
            theirs.write_all(&length.to_be_bytes()).await.unwrap();
            theirs.write_all(&vec![7; length as usize]).await.unwrap();
        };
        let read = async {
            while reader.large.as_ref().is_none_or(|large| large.missing() > 0) {
                ours.readable().await.unwrap();
                reader.fill(&ours);
                reader.open().unwrap();
                let grown = reader.large.as_ref().map(|large| large.body.capacity());
                assert!(grown.unwrap_or_default() <= length as usize);
            }
        };
        tokio::join!(write, read);
        let Ok(Some(Incoming::Data(body))) = reader.ready() else {
            panic!("not whole")
        };
        assert!(body.len() == length as usize && reader.is_empty());
    }

    #[tokio::test]
    async fn frames_that_come_byte_by_byte_or_all_at_once_are_the_same() {
        for step in [1, 3, 100] {
            let (ours, mut theirs, mut reader) = pair(100);
            let bytes = b"\0\0\0\x02ab\x80\0\0\x03{ }\0\0\0\0\0\0\0\x01c";
            let write = async {
                for piece in bytes.chunks(step) {
                    theirs.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let read = async {
                let mut frames = Vec::new();
                while frames.len() < 4 {
                    frames.push(match reader.next(&ours).await.unwrap() {
                        Incoming::Data(body) => (false, body),
                        Incoming::Control(body) => (true, body),
                    });
                }
                frames
            };
            let ((), frames) = tokio::join!(write, read);
            let expected: [(bool, &[u8]); 4] = [(false, b"ab"), (true, b"{ }"), (false, b""), (false, b"c")];
            assert!(
                frames.iter().map(|(control, body)| (*control, &body[..])).eq(expected),
                "{frames:?}"
            );
            assert!(reader.is_empty());
        }
    }

    #[tokio::test]
    async fn a_read_that_is_cancelled_loses_nothing() {
        let (ours, mut theirs, mut reader) = pair(1 << 20);
        let body = vec![b'x'; 300_000];
        theirs.write_all(&300_000_u32.to_be_bytes()).await.unwrap();
        for piece in body.chunks(50_000) {
            tokio::select! {
                biased;
                frame = reader.next(&ours) => panic!("too early: {frame:?}"),
                () = tokio::task::yield_now() => {}
            }
            theirs.write_all(piece).await.unwrap();
        }
        let Incoming::Data(whole) = reader.next(&ours).await.unwrap() else {
            panic!("a control frame")
        };
        assert!(whole == body);
    }
}
