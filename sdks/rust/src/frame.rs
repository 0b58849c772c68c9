//! Frames on a stream socket: a big-endian u32 length, then that many bytes.
//!
//! Bit 31 of the length marks a control frame. What the bytes mean is for others.

use std::{
    io::{self, BufRead, BufReader, IoSlice, Read, Write},
    os::unix::net::UnixStream,
};

use nix::sys::socket::{setsockopt, sockopt};

/// One frame as it came.
pub(crate) struct Frame {
    pub(crate) control: bool,
    pub(crate) body: Body,
}

/// The bytes of a frame.
pub(crate) enum Body {
    /// All of them.
    Whole(Vec<u8>),
    /// There are more than is allowed, and none of them has been read.
    TooLarge(u32),
}

/// Reads frame after frame, small ones with one system call for length and body.
pub(crate) struct Reader<'a> {
    stream: BufReader<&'a UnixStream>,
    cap: u32,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(stream: &'a UnixStream, cap: u32) -> Self {
        Self {
            stream: BufReader::with_capacity(CHUNK, stream),
            cap,
        }
    }

    /// The next frame; `None` when the peer closed between two.
    pub(crate) fn read(&mut self) -> io::Result<Option<Frame>> {
        if self.stream.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut head = [0; 4];
        self.fill(&mut head)?;
        let head = u32::from_be_bytes(head);
        let length = head & !CONTROL;
        let body = if length > self.cap {
            Body::TooLarge(length)
        } else {
            let mut body = vec![0; length as usize];
            self.fill(&mut body)?;
            Body::Whole(body)
        };
        Ok(Some(Frame {
            control: head & CONTROL != 0,
            body,
        }))
    }

    /// Passes over the bytes of a frame that is not wanted.
    pub(crate) fn skip(&mut self, length: u32) -> io::Result<()> {
        let passed = io::copy(&mut (&mut self.stream).take(length.into()), &mut io::sink())?;
        if passed < length.into() {
            return Err(cut_short());
        }
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => cut_short(),
            _ => error,
        })
    }
}

/// Writes one frame; length and body leave in one call where the system takes them.
pub(crate) fn write(mut stream: &UnixStream, body: &[u8], flag: u32) -> io::Result<()> {
    let length = u32::try_from(body.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let head = (length | flag).to_be_bytes();
    let (mut head, mut body) = (&head[..], body);
    while !head.is_empty() || !body.is_empty() {
        match stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                let of_head = written.min(head.len());
                head = &head[of_head..];
                body = &body[written - of_head..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Asks for socket buffers that carry large bodies in few steps; the system may grant less.
pub(crate) fn widen(stream: &UnixStream) {
    // Slower where it is refused, and nothing else.
    let _ = setsockopt(stream, sockopt::SndBuf, &SOCKET_BUFFER);
    let _ = setsockopt(stream, sockopt::RcvBuf, &SOCKET_BUFFER);
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it ended in the middle of a frame")
}

/// Marks a control frame.
pub(crate) const CONTROL: u32 = 1 << 31;
/// What a frame may have where nothing else is said: 256 MiB.
pub(crate) const DEFAULT_CAP: u32 = 256 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
