//! The frames on a handler's socket.
//!
//! A frame is four bytes of header, big-endian, and as many bytes of body as it says. Bit 31 marks a control frame.
//! Reading and writing sockets is left to whoever has them.

/// The four bytes before a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The bytes that follow; at most [`Header::MOST`].
    pub len: u32,
    /// Whether they are for the protocol and not for the function.
    pub control: bool,
}

/// A frame that is longer than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {len} bytes is over the cap of {cap}")]
pub struct FrameTooLarge {
    /// Its bytes.
    pub len: usize,
    /// The bytes that a frame may have.
    pub cap: u32,
}

impl Header {
    /// The bytes of a header.
    pub const SIZE: usize = 4;
    /// The bytes that any frame may have.
    pub const MOST: u32 = CONTROL - 1;
    /// The bytes that a frame may have where the config says nothing: 256 MiB.
    pub const CAP: u32 = 256 * 1024 * 1024;

    /// The header of a frame that is to be sent. `cap` above [`Header::MOST`] counts as that.
    pub fn new(len: usize, control: Control, cap: u32) -> Result<Self, FrameTooLarge> {
        let cap = cap.min(Self::MOST);
        match u32::try_from(len) {
            Ok(len) if len <= cap => Ok(Self {
                len,
                control: control == Control::Yes,
            }),
            _ => Err(FrameTooLarge { len, cap }),
        }
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; Self::SIZE] {
        let flag = if self.control { CONTROL } else { 0 };
        (self.len & Self::MOST | flag).to_be_bytes()
    }

    /// Any four bytes are a header.
    pub const fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let word = u32::from_be_bytes(bytes);
        Self {
            len: word & Self::MOST,
            control: word & CONTROL != 0,
        }
    }

    /// Refuses a frame that is longer than `cap`, before anything is read of it.
    pub fn within(self, cap: u32) -> Result<Self, FrameTooLarge> {
        if self.len <= cap {
            Ok(self)
        } else {
            Err(FrameTooLarge {
                len: self.len as usize,
                cap,
            })
        }
    }
}

/// Whether a frame is a control frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// It is for the protocol.
    Yes,
    /// It is a request or a reply.
    No,
}

const CONTROL: u32 = 1 << 31;
