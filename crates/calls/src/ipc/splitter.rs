//! Cuts objects out of a stream of bytes. Pure.
//!
//! Every byte is looked at once. Bytes that can never become an object are seen as soon as their number has doubled since the
//! last look, at the latest.

use bytes::{Buf, BytesMut};
use serde::de::IgnoredAny;
use wire::Json;

/// The beginning of an object, and what comes after it.
#[derive(Debug)]
pub(super) struct Splitter {
    bytes: BytesMut,
    limit: usize,
    /// Bytes that have been looked at.
    seen: usize,
    depth: usize,
    is_quoted: bool,
    is_escaped: bool,
    /// How many bytes there were when they could still become an object.
    sound: usize,
}

/// What is at the front.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Object(Json),
    /// No object, and none that could follow is seen.
    Garbage,
    TooLarge,
    /// Not all of it is here.
    More,
}

impl Splitter {
    /// Objects of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            limit,
            seen: 0,
            depth: 0,
            is_quoted: false,
            is_escaped: false,
            sound: 0,
        }
    }

    /// Where bytes are added, at the end.
    pub(super) fn bytes(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// What is at the front; an object is taken out.
    pub(super) fn next(&mut self) -> Cut {
        if self.depth == 0 {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
            let blanks = self
                .bytes
                .iter()
                .position(|byte| !blank(byte))
                .unwrap_or(self.bytes.len());
            self.bytes.advance(blanks);
            match self.bytes.first() {
                None => return Cut::More,
                Some(b'{') => {}
                Some(_) => return Cut::Garbage,
            }
        }
        while let Some(&byte) = self.bytes.get(self.seen) {
            self.seen += 1;
            if self.is_quoted {
                self.is_quoted = self.is_escaped || byte != b'"';
                self.is_escaped = !self.is_escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.is_quoted = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
            if self.depth == 0 {
                return self.cut();
            }
        }
        if self.bytes.len() > self.limit {
            return Cut::TooLarge;
        }
        if self.bytes.len() >= self.sound * 2 {
            self.sound = self.bytes.len();
            let read: Result<IgnoredAny, _> = serde_json::from_slice(&self.bytes);
            if read.is_err_and(|error| !error.is_eof()) {
                return Cut::Garbage;
            }
        }
        Cut::More
    }

    /// Whether the end of the stream would cut an object short.
    pub(super) fn is_within(&self) -> bool {
        self.depth > 0
    }

    fn cut(&mut self) -> Cut {
        let object = self.bytes.split_to(self.seen).freeze();
        self.seen = 0;
        self.sound = 0;
        if object.len() > self.limit {
            return Cut::TooLarge;
        }
        Json::parse(object).map_or(Cut::Garbage, Cut::Object)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cuts(pieces: &[&[u8]], limit: usize) -> Vec<String> {
        let mut splitter = Splitter::new(limit);
        let mut cuts = Vec::new();
        for piece in pieces {
            splitter.bytes().extend_from_slice(piece);
            loop {
                match splitter.next() {
                    Cut::Object(object) => cuts.push(object.as_str().to_owned()),
                    Cut::More => break,
                    other => {
                        cuts.push(format!("{other:?}"));
                        return cuts;
                    }
                }
            }
        }
        if splitter.is_within() {
            cuts.push("cut short".to_owned());
        }
        cuts
    }

    #[test]
    fn objects_stand_one_after_the_other_with_and_without_a_newline() {
        assert_eq!(
            cuts(&[b" {\"a\":\"}\\\"{\"}{}\r\n{\"b\":[{}]}\n"], 100),
            ["{\"a\":\"}\\\"{\"}", "{}", "{\"b\":[{}]}"]
        );
        assert_eq!(cuts(&[b"{\"a\"", b": 1", b"}  {"], 100), ["{\"a\": 1}", "cut short"]);
        assert_eq!(cuts(&[b"", b" \n"], 100), [""; 0]);
    }

    #[test]
    fn what_is_no_object_is_seen_at_once() {
        for bytes in [
            &b"hello"[..],
            b"[1]",
            b"1",
            b"{nope",
            b"{\"a\":1,}",
            b"{\"a\" 1",
            b"{]",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":1} x",
        ] {
            let cuts = cuts(&[bytes], 100);
            assert_eq!(
                cuts.last().map(String::as_str),
                Some("Garbage"),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn an_object_over_the_limit_is_seen_before_its_end() {
        assert_eq!(cuts(&[b"{\"a\":12345"], 10), ["cut short"]);
        assert_eq!(cuts(&[b"{\"a\":123456"], 10), ["TooLarge"]);
        assert_eq!(cuts(&[b"{\"a\":12345}"], 10), ["TooLarge"]);
        assert_eq!(cuts(&[b"{\"a\":1234}"], 10), ["{\"a\":1234}"]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_bytes_come(
            strings in proptest::collection::vec("[ \"\\\\{}\\[\\]\na-z]{0,6}", 0..6),
            sizes in proptest::collection::vec(1_usize..9, 1..8),
        ) {
            let objects: Vec<String> = strings.iter().map(|text| serde_json::json!({ text: [text, {}] }).to_string()).collect();
            let whole = objects.join(if strings.len() % 2 == 0 { "" } else { "\n" });
            let (mut pieces, mut rest, mut sizes) = (Vec::new(), whole.as_bytes(), sizes.iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(cuts(&pieces, 1000), objects);
        }
    }
}
