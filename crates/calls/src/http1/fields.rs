//! The fields of a head: names and values in the order in which they stand. Pure.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{LineEnd, Spelling};

/// The fields of a head, or of the end of a body.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    text: Bytes,
    places: Vec<Place>,
}

/// Where a name and its value stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) name: (u32, u32),
    pub(super) value: (u32, u32),
}

/// Why lines are no fields, in a person's words.
pub(crate) type BadField = &'static str;

impl Fields {
    /// Reads the lines of `text` from `from` on, up to an empty one or the end.
    pub(crate) fn read(text: Bytes, from: usize, line_end: LineEnd) -> Result<Self, BadField> {
        let mut places = Vec::with_capacity(16);
        let mut at = from;
        while at < text.len() {
            let (line, next) = line(&text, at, line_end)?;
            if line.is_empty() {
                break;
            }
            places.push(field(line, at)?);
            at = next;
        }
        Ok(Self { text, places })
    }

    /// Names as they were written, and values without the space around them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places
            .iter()
            .map(|place| (self.at(place.name), self.at(place.value)))
    }

    /// The values of one name, in order.
    pub(crate) fn values(&self, name: &HeaderName) -> impl Iterator<Item = &[u8]> {
        let name = name.as_str().as_bytes();
        self.iter()
            .filter(move |(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Those fields whose name is wanted, as a map.
    ///
    /// # Errors
    /// A value with a control character.
    pub(crate) fn map(&self, wanted: impl Fn(&HeaderName) -> bool) -> Result<HeaderMap, BadField> {
        let mut map = HeaderMap::with_capacity(self.places.len());
        for place in &self.places {
            let name = HeaderName::from_bytes(self.at(place.name)).map_err(|_| BAD_NAME)?;
            if !wanted(&name) {
                continue;
            }
            let (from, to) = place.value;
            let value = HeaderValue::from_maybe_shared(self.text.slice(from as usize..to as usize))
                .map_err(|_| "a header has a control character in its value")?;
            map.append(name, value);
        }
        Ok(map)
    }

    /// How they were written.
    pub(crate) fn into_spelling(self) -> Spelling {
        Spelling::new(self.text, self.places)
    }

    fn at(&self, (from, to): (u32, u32)) -> &[u8] {
        &self.text[from as usize..to as usize]
    }
}

/// The words of a list such as `Connection` has it, as they stand.
pub(crate) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|word| !word.is_empty())
}

/// Whether a header is a list that has this word in it.
pub(crate) fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let mut values = headers.get_all(name).iter();
    values.any(|value| tokens(value.as_bytes()).any(|word| word.eq_ignore_ascii_case(token.as_bytes())))
}

/// The line that begins at `at`, and where the next one begins.
pub(super) fn line(text: &[u8], at: usize, line_end: LineEnd) -> Result<(&[u8], usize), BadField> {
    let Some(length) = memchr::memchr(b'\n', &text[at..]) else {
        return Err("a line has no end");
    };
    let line = &text[at..at + length];
    let next = at + length + 1;
    match line.strip_suffix(b"\r") {
        Some(line) => Ok((line, next)),
        None if line_end == LineEnd::Lenient => Ok((line, next)),
        None => Err("a line ends with LF alone"),
    }
}

fn field(line: &[u8], at: usize) -> Result<Place, BadField> {
    if matches!(line[0], b' ' | b'\t') {
        return Err("a header is folded over two lines");
    }
    let colon = memchr::memchr(b':', line).ok_or("a header has no colon")?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if matches!(name.last(), Some(b' ' | b'\t')) {
        return Err("there is space between a header's name and its colon");
    }
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(BAD_NAME);
    }
    let lead = value.iter().take_while(|byte| is_space(**byte)).count();
    let tail = value[lead..].iter().rev().take_while(|byte| is_space(**byte)).count();
    let from = at + colon + 1 + lead;
    let to = at + line.len() - tail;
    let place = |index: usize| u32::try_from(index).expect("a head is far below 4 GiB");
    Ok(Place {
        name: (place(at), place(at + colon)),
        value: (place(from), place(to)),
    })
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether a byte may stand in a method or a field's name.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

const BAD_NAME: BadField = "a header's name has a character that no name has";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Result<Fields, BadField> {
        Fields::read(Bytes::from_static(text.as_bytes()), 0, LineEnd::Strict)
    }

    #[test]
    fn fields_keep_their_order_and_their_spelling() {
        let fields = read("X-b: 1\r\nx-A:2 \t\r\nX-B:\t3\r\n\r\n").unwrap();
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(all, [(&b"X-b"[..], &b"1"[..]), (b"x-A", b"2"), (b"X-B", b"3")]);
        let values: Vec<_> = fields.values(&HeaderName::from_static("x-b")).collect();
        assert_eq!(values, [b"1", b"3"]);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in [
            "A : b\r\n\r\n",
            "A\t: b\r\n\r\n",
            "A: b\r\n c\r\n\r\n",
            " A: b\r\n\r\n",
            ": b\r\n\r\n",
            "A b\r\n\r\n",
            "A\0: b\r\n\r\n",
            "\u{e4}: b\r\n\r\n",
            "A: b\n\r\n",
            "A(: b\r\n\r\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
        for text in [
            "A: b\0c\r\n\r\n",
            "A: b\rc\r\n\r\n",
            "A: b\x7f\r\n\r\n",
            "A: \x0bb\r\n\r\n",
        ] {
            assert!(read(text).unwrap().map(|_| true).is_err(), "{text:?}");
        }
    }
}
