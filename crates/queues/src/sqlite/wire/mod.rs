//! How requests and answers cross the socket between two processes on one file.
//!
//! A frame is `u32` head length, `u64` length of all bodies, the head, the bodies as they are; numbers are little
//! endian. A connection begins with a hello of fixed size in both directions, so that any two versions can say so.

mod frames;
mod pieces;

use std::io::{self, Read, Write};

use bytes::Bytes;

use super::protocol::{Answer, Request, VERSION};
use pieces::{In, Out};

const MAGIC: [u8; 4] = *b"OUTQ";
/// The largest head: a hundred thousand messages in one put have room.
const MAX_HEAD: u32 = 64 << 20;
/// The most bytes of bodies in one frame.
const MAX_BODIES: u64 = 8 << 30;

/// What a process says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) version: u16,
    /// The holder that connects, or the epoch of the owner that answers.
    pub(super) number: u64,
}

impl Hello {
    pub(super) fn new(number: u64) -> Self {
        Self {
            version: VERSION,
            number,
        }
    }

    pub(super) fn write(self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = [0; 14];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&self.version.to_le_bytes());
        bytes[6..].copy_from_slice(&self.number.to_le_bytes());
        to.write_all(&bytes)
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut bytes = [0; 14];
        from.read_exact(&mut bytes)?;
        let (magic, rest) = bytes.split_at(4);
        if magic != MAGIC {
            return Err(broken("this is no queue's socket"));
        }
        let mut head = In::new(rest, Bytes::new());
        let version = u16::from(head.u8()?) | u16::from(head.u8()?) << 8;
        let number = head.u64()?;
        Ok(Self { version, number })
    }
}

/// Something that is sent as one frame.
pub(super) trait Frame: Sized {
    fn encode(&self, out: &mut Out);
    fn decode(from: &mut In<'_>) -> io::Result<Self>;
}

/// Writes frames, reusing its room.
#[derive(Default)]
pub(super) struct FrameWriter {
    out: Out,
}

impl FrameWriter {
    pub(super) fn write(&mut self, to: &mut impl Write, frame: &impl Frame) -> io::Result<()> {
        self.out.clear();
        frame.encode(&mut self.out);
        let (head, bodies) = self.out.parts();
        let head_length = u32::try_from(head.len()).map_err(|_| broken("a frame's head is too large"))?;
        let length: u64 = bodies.iter().map(|body| body.len() as u64).sum();
        if head_length > MAX_HEAD || length > MAX_BODIES {
            return Err(broken("a frame is too large"));
        }
        to.write_all(&head_length.to_le_bytes())?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(head)?;
        for body in bodies {
            to.write_all(body)?;
        }
        Ok(())
    }
}

/// Reads one frame.
pub(super) fn read<T: Frame>(from: &mut impl Read) -> io::Result<T> {
    let mut lengths = [0; 12];
    from.read_exact(&mut lengths)?;
    let mut numbers = In::new(&lengths, Bytes::new());
    let (head_length, length) = (numbers.u32()?, numbers.u64()?);
    if head_length > MAX_HEAD || length > MAX_BODIES {
        return Err(broken("a frame is too large"));
    }
    let head = read_exactly(from, u64::from(head_length))?;
    let bodies = read_exactly(from, length)?;
    T::decode(&mut In::new(&head, bodies.into()))
}

fn read_exactly(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).map_err(|_| broken("a frame is too large"))?);
    from.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A request under its number.
#[derive(Debug)]
pub(super) struct Numbered<R> {
    pub(super) id: u64,
    pub(super) request: R,
}

impl Frame for Numbered<Request> {
    fn encode(&self, out: &mut Out) {
        Numbered {
            id: self.id,
            request: &self.request,
        }
        .encode_to(out);
    }

    fn decode(from: &mut In<'_>) -> io::Result<Self> {
        Ok(Self {
            id: from.u64()?,
            request: frames::decode_request(from)?,
        })
    }
}

impl Numbered<&Request> {
    fn encode_to(&self, out: &mut Out) {
        out.u64(self.id);
        frames::encode_request(self.request, out);
    }
}

impl Frame for Numbered<std::sync::Arc<Request>> {
    fn encode(&self, out: &mut Out) {
        Numbered {
            id: self.id,
            request: &*self.request,
        }
        .encode_to(out);
    }

    fn decode(from: &mut In<'_>) -> io::Result<Self> {
        let Numbered { id, request } = Numbered::<Request>::decode(from)?;
        Ok(Self {
            id,
            request: request.into(),
        })
    }
}

impl Frame for Answer {
    fn encode(&self, out: &mut Out) {
        frames::encode_answer(self, out);
    }

    fn decode(from: &mut In<'_>) -> io::Result<Self> {
        frames::decode_answer(from)
    }
}
