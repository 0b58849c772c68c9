//! A body in chunks, out of the bytes of its connection. Pure.
//!
//! Strict: sizes are plain hexadecimal digits, lines end with CR and LF, extensions are printable and passed over.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::{Fields, LineEnd, MAX_FIELDS, MAX_HEAD, Scan, Scanner, request::is_framing};

/// Where in the chunks we are.
#[derive(Debug)]
pub(crate) struct Chunked {
    place: Place,
    /// Bytes of extensions so far.
    extensions: usize,
}

#[derive(Debug)]
enum Place {
    Size,
    Data { left: u64 },
    DataEnd,
    Trailers(Scanner),
}

/// What a look at the bytes gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    More,
    Data(Bytes),
    End(Option<HeaderMap>),
}

/// The most that extensions may have, over the whole body.
const MAX_EXTENSIONS: usize = 16 * 1024;
/// Digits of the largest size.
const MAX_DIGITS: usize = 16;

impl Default for Chunked {
    fn default() -> Self {
        Self {
            place: Place::Size,
            extensions: 0,
        }
    }
}

impl Chunked {
    /// Takes the next part out of what has come.
    pub(super) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Step, &'static str> {
        loop {
            match &mut self.place {
                Place::Size => {
                    let Some(length) = memchr::memchr(b'\n', buffer) else {
                        // Seen early where it can be: what comes next may never come.
                        return if buffer.len() > MAX_EXTENSIONS || hopeless(buffer) {
                            Err(BAD_SIZE)
                        } else {
                            Ok(Step::More)
                        };
                    };
                    let line = buffer[..length]
                        .strip_suffix(b"\r")
                        .ok_or("the size of a chunk ends with LF alone")?;
                    let (size, extension) = size(line)?;
                    self.extensions += extension;
                    if self.extensions > MAX_EXTENSIONS {
                        return Err("the chunks have too many extensions");
                    }
                    buffer.advance(length + 1);
                    self.place = match size {
                        0 => Place::Trailers(Scanner::new(LineEnd::Strict)),
                        left => Place::Data { left },
                    };
                }
                Place::Data { left } => {
                    if buffer.is_empty() {
                        return Ok(Step::More);
                    }
                    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                    *left -= length as u64;
                    if *left == 0 {
                        self.place = Place::DataEnd;
                    }
                    return Ok(Step::Data(buffer.split_to(length).freeze()));
                }
                Place::DataEnd => {
                    if !b"\r\n".starts_with(&buffer[..buffer.len().min(2)]) {
                        return Err("a chunk is longer than its size");
                    }
                    if buffer.len() < 2 {
                        return Ok(Step::More);
                    }
                    buffer.advance(2);
                    self.place = Place::Size;
                }
                Place::Trailers(scanner) => {
                    if buffer.starts_with(b"\r\n") {
                        buffer.advance(2);
                        return Ok(Step::End(None));
                    }
                    if buffer.len() < 2 {
                        return Ok(Step::More);
                    }
                    return match scanner
                        .scan(buffer)
                        .map_err(|_| "the end of the chunks is no list of fields")?
                    {
                        Scan::More => Ok(Step::More),
                        Scan::Whole { end, .. } => trailers(buffer.split_to(end).freeze()),
                    };
                }
            }
        }
    }
}

/// The size and the bytes of the extension.
fn size(line: &[u8]) -> Result<(u64, usize), &'static str> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits == 0 || digits > MAX_DIGITS {
        return Err(BAD_SIZE);
    }
    let extension = &line[digits..];
    let printable = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    if !extension.is_empty() && (extension[0] != b';' || extension.len() == 1 || !extension.iter().all(printable)) {
        return Err("a chunk has an extension that is none");
    }
    let text = std::str::from_utf8(&line[..digits]).map_err(|_| BAD_SIZE)?;
    let size = u64::from_str_radix(text, 16).map_err(|_| BAD_SIZE)?;
    Ok((size, extension.len()))
}

/// Whether no more bytes could make a size of these.
fn hopeless(start: &[u8]) -> bool {
    let digits = start.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    match start.get(digits) {
        None => digits > MAX_DIGITS,
        Some(next) => digits == 0 || !matches!(next, b';' | b'\r'),
    }
}

fn trailers(text: Bytes) -> Result<Step, &'static str> {
    debug_assert!(text.len() <= MAX_HEAD);
    let fields = Fields::read(text, 0, LineEnd::Strict)?;
    let map = fields.map(|name| !is_framing(name))?;
    debug_assert!(map.len() <= MAX_FIELDS + 1);
    Ok(Step::End(Some(map).filter(|map| !map.is_empty())))
}

const BAD_SIZE: &str = "the size of a chunk is no hexadecimal number";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A body, its trailers, and what comes after it.
    type All = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

    /// All of a body, fed in steps, and what is left of the bytes.
    fn all(bytes: &[u8], step: usize) -> Result<All, &'static str> {
        let (mut chunked, mut buffer, mut body) = (Chunked::default(), BytesMut::new(), Vec::new());
        let mut pieces = bytes.chunks(step);
        loop {
            match chunked.decode(&mut buffer)? {
                Step::Data(data) => body.extend_from_slice(&data),
                Step::End(trailers) => {
                    let rest = pieces.flatten().copied();
                    return Ok((body, trailers, buffer.iter().copied().chain(rest).collect()));
                }
                Step::More => buffer.extend_from_slice(pieces.next().ok_or("cut short")?),
            }
        }
    }

    #[test]
    fn chunks_are_put_together_and_trailers_kept() {
        let bytes = b"5\r\nhello\r\n00c;a=b; c=\"d\"\r\n big  world\n\r\n0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\nGET";
        for step in [1, 2, 3, 100] {
            let (body, trailers, rest) = all(bytes, step).unwrap();
            assert_eq!(body, b"hello big  world\n", "{step}");
            let trailers = trailers.unwrap();
            assert_eq!(
                (trailers.len(), &trailers["x-sum"]),
                (1, &"1".parse::<http::HeaderValue>().unwrap())
            );
            assert_eq!(rest, b"GET");
        }
        assert_eq!(all(b"0\r\n\r\n", 1), Ok((vec![], None, vec![])));
    }

    #[test]
    fn bad_sizes_ends_and_extensions_are_refused() {
        for text in [
            "x\r\n",
            "\r\n",
            " 5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "0x5\r\nhello\r\n",
            "+5\r\nhello\r\n",
            "-1\r\n",
            "5\nhello\r\n",
            "5;a\nhello\r\n",
            "5;\r\nhello\r\n",
            "5;a\0\r\nhello\r\n",
            "5;a\rb\r\nhello\r\n",
            "5\r\nhello!\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "11111111111111111\r\n",
            "0\r\nA : b\r\n\r\n",
            "0\r\nA: b\n\r\n",
            "0\r\n folded\r\n\r\n",
        ] {
            for step in [1, 100] {
                let result = all(text.as_bytes(), step);
                assert!(
                    result.as_ref().is_err_and(|why| *why != "cut short"),
                    "{text:?} {result:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_cut_into_chunks_comes_back(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8), step in 1_usize..20) {
            let mut bytes = Vec::new();
            for part in &parts {
                bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                bytes.extend_from_slice(part);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            let (body, _, rest) = all(&bytes, step).unwrap();
            prop_assert_eq!(body, parts.concat());
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_end_in_a_body_or_a_refusal(bytes in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'5'), Just(b';'), any::<u8>()], 0..60)) {
            let together = all(&bytes, 1000);
            let apart = all(&bytes, 1);
            prop_assert_eq!(together.is_ok(), apart.is_ok());
        }
    }
}
