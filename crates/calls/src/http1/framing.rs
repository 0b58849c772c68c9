//! How long a body is, and its bytes out of those of the connection. Pure.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Version, header};

use super::{Chunked, Fields, chunked, tokens};

/// What is left to be read of a body.
#[derive(Debug)]
pub(crate) enum Decoder {
    /// Nothing.
    Done,
    /// So many bytes; not 0.
    Length(u64),
    /// Chunks.
    Chunked(Chunked),
    /// Everything, until the other end closes.
    UntilClose,
}

/// What a look at the bytes gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// Not enough bytes.
    More,
    /// A part of the body; never empty.
    Data(Bytes),
    /// The end of the body has fields.
    Trailers(HeaderMap),
    /// The end.
    End,
}

/// Why bytes are not a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadBody {
    /// Not in the form that the head announced.
    #[error("{0}")]
    Malformed(&'static str),
    /// The connection ended before the body did.
    #[error("the connection ended in the middle of a body")]
    CutShort,
}

/// The body of a request.
///
/// # Errors
/// Why two readers could take it for different ones.
pub(super) fn of_request(fields: &Fields, version: Version) -> Result<Decoder, &'static str> {
    let mut codings = fields.values(&header::TRANSFER_ENCODING);
    let mut lengths = fields.values(&header::CONTENT_LENGTH);
    match (codings.next(), lengths.next()) {
        (Some(_), Some(_)) => Err("there are both Content-Length and Transfer-Encoding"),
        (Some(coding), None) => {
            if version == Version::HTTP_10 {
                return Err("HTTP/1.0 has no Transfer-Encoding");
            }
            if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
                return Err("Transfer-Encoding is something else than `chunked`");
            }
            Ok(Decoder::Chunked(Chunked::default()))
        }
        (None, Some(length)) => {
            if lengths.next().is_some() {
                return Err("there is more than one Content-Length");
            }
            Ok(Decoder::of_length(number(length)?))
        }
        (None, None) => Ok(Decoder::Done),
    }
}

/// The body of a reply that may have one.
///
/// # Errors
/// Why its end cannot be told.
pub(super) fn of_reply(fields: &Fields) -> Result<Decoder, &'static str> {
    let mut codings = fields.values(&header::TRANSFER_ENCODING).flat_map(tokens);
    let mut lengths = fields.values(&header::CONTENT_LENGTH);
    match (codings.next(), lengths.next()) {
        (Some(_), Some(_)) => Err("there are both Content-Length and Transfer-Encoding"),
        (Some(coding), None) => {
            if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
                return Err("Transfer-Encoding is something else than `chunked`");
            }
            Ok(Decoder::Chunked(Chunked::default()))
        }
        (None, Some(length)) => {
            if lengths.any(|other| other != length) {
                return Err("there are unequal Content-Lengths");
            }
            Ok(Decoder::of_length(number(length)?))
        }
        (None, None) => Ok(Decoder::UntilClose),
    }
}

fn number(text: &[u8]) -> Result<u64, &'static str> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok());
    number.ok_or("Content-Length is no number of bytes")
}

impl Decoder {
    fn of_length(length: u64) -> Self {
        match length {
            0 => Self::Done,
            length => Self::Length(length),
        }
    }

    /// Whether all of it has been read.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Takes all of it, where its head says how long it is and all of it has come.
    pub(super) fn whole(&mut self, buffer: &mut BytesMut) -> Option<Bytes> {
        let Self::Length(left) = *self else {
            return None;
        };
        let length = usize::try_from(left).ok().filter(|length| *length <= buffer.len())?;
        *self = Self::Done;
        Some(buffer.split_to(length).freeze())
    }

    /// Takes the next part out of what has come.
    pub(crate) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, BadBody> {
        match self {
            Self::Done => Ok(Decoded::End),
            Self::Length(left) => {
                if buffer.is_empty() {
                    return Ok(Decoded::More);
                }
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= length as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(Decoded::Data(buffer.split_to(length).freeze()))
            }
            Self::Chunked(chunks) => {
                let decoded = chunks.decode(buffer).map_err(BadBody::Malformed)?;
                Ok(match decoded {
                    chunked::Step::More => Decoded::More,
                    chunked::Step::Data(data) => Decoded::Data(data),
                    chunked::Step::End(trailers) => {
                        *self = Self::Done;
                        trailers.map_or(Decoded::End, Decoded::Trailers)
                    }
                })
            }
            Self::UntilClose if buffer.is_empty() => Ok(Decoded::More),
            Self::UntilClose => Ok(Decoded::Data(buffer.split().freeze())),
        }
    }

    /// The connection has ended, and what had come was looked at.
    pub(crate) fn close(&mut self) -> Result<(), BadBody> {
        match self {
            Self::Done => Ok(()),
            Self::UntilClose => {
                *self = Self::Done;
                Ok(())
            }
            Self::Length(_) | Self::Chunked(_) => Err(BadBody::CutShort),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::LineEnd;

    fn fields(text: &'static str) -> Fields {
        Fields::read(Bytes::from_static(text.as_bytes()), 0, LineEnd::Strict).unwrap()
    }

    #[test]
    fn the_length_of_a_request_is_said_in_one_way() {
        let request = |text| of_request(&fields(text), Version::HTTP_11);
        assert!(matches!(request("Content-Length: 5\r\n"), Ok(Decoder::Length(5))));
        assert!(matches!(request("Content-Length: 0\r\n"), Ok(Decoder::Done)));
        assert!(matches!(
            request("Transfer-Encoding: Chunked\r\n"),
            Ok(Decoder::Chunked(_))
        ));
        assert!(matches!(request("A: b\r\n"), Ok(Decoder::Done)));
        for text in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5 6\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding:\r\n",
            "Transfer-Encoding: chunked;q=1\r\n",
        ] {
            assert!(request(text).is_err(), "{text:?}");
        }
        assert!(of_request(&fields("Transfer-Encoding: chunked\r\n"), Version::HTTP_10).is_err());
    }

    #[test]
    fn a_body_ends_where_its_head_said() {
        let mut decoder = Decoder::Length(5);
        let mut buffer = BytesMut::from("hel");
        assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::Data("hel".into())));
        assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::More));
        assert_eq!(decoder.close(), Err(BadBody::CutShort));
        buffer.extend_from_slice(b"loGET");
        assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::Data("lo".into())));
        assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::End));
        assert_eq!(&buffer[..], b"GET");
    }
}
