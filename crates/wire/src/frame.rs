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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_its_length_with_bit_31_for_control() {
        let plain = Header::new(0x0102_0304, Control::No, Header::CAP).unwrap();
        assert_eq!(plain.to_bytes(), [1, 2, 3, 4]);
        let control = Header::new(5, Control::Yes, Header::CAP).unwrap();
        assert_eq!(control.to_bytes(), [0x80, 0, 0, 5]);
        assert_eq!(Header::from_bytes([0x80, 0, 0, 5]), control);
        let widest = Header::from_bytes([0xff; 4]);
        assert_eq!((widest.len, widest.control), (Header::MOST, true));
    }

    #[test]
    fn a_frame_over_the_cap_is_refused_both_ways() {
        let cap = 10;
        assert_eq!(Header::new(10, Control::No, cap).unwrap().within(cap).unwrap().len, 10);
        assert_eq!(Header::new(11, Control::No, cap), Err(FrameTooLarge { len: 11, cap }));
        let read = Header {
            len: 11,
            control: false,
        };
        assert_eq!(read.within(cap), Err(FrameTooLarge { len: 11, cap }));
        let most = FrameTooLarge {
            len: 1 << 31,
            cap: Header::MOST,
        };
        assert_eq!(Header::new(1 << 31, Control::No, u32::MAX), Err(most));
        assert!(Header::new(usize::MAX, Control::No, u32::MAX).is_err());
    }
}
