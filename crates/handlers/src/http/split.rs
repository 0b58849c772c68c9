//! A stream of bytes as lines, or as events.
//!
//! Pure: bytes in, frames out, however they are cut on their way. The one rule: nothing longer than the cap is ever
//! kept.

use bytes::{Buf, Bytes, BytesMut};

/// One event of a `text/event-stream`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its `event` field; empty where it has none.
    pub(crate) name: String,
    /// Its `data` lines, a line feed between them.
    pub(crate) data: Bytes,
}

/// A line or an event that is longer than is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong {
    /// How long it is at least.
    pub(crate) bytes: u64,
}

/// Cuts a stream into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    held: BytesMut,
    /// How much of `held` has no line end in it.
    looked: usize,
    cap: u64,
}

impl Lines {
    pub(crate) fn new(cap: u32) -> Self {
        Self {
            held: BytesMut::new(),
            looked: 0,
            cap: cap.into(),
        }
    }

    /// More bytes have come.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next line, without its end (LF or CR LF), if all of it is here.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        let Some(end) = self.held[self.looked..].iter().position(|byte| *byte == b'\n') else {
            self.looked = self.held.len();
            return self.fits(self.held.len()).map(|()| None);
        };
        let mut line = self.held.split_to(self.looked + end);
        self.held.advance(1);
        self.looked = 0;
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        self.fits(line.len())?;
        Ok(Some(line.freeze()))
    }

    /// What is left where the stream ended.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.looked = 0;
        let mut rest = self.held.split();
        if rest.last() == Some(&b'\r') {
            rest.truncate(rest.len() - 1);
        }
        rest.freeze()
    }

    fn fits(&self, length: usize) -> Result<(), TooLong> {
        let bytes = length as u64;
        if bytes > self.cap {
            Err(TooLong { bytes })
        } else {
            Ok(())
        }
    }
}

/// Cuts a stream into events.
#[derive(Debug)]
pub(crate) struct Events {
    lines: Lines,
    begun: bool,
    name: String,
    data: Option<BytesMut>,
    cap: u64,
}

impl Events {
    pub(crate) fn new(cap: u32) -> Self {
        Self {
            // The name of a field stands before its data.
            lines: Lines::new(cap.saturating_add(LONGEST_FIELD)),
            begun: false,
            name: String::new(),
            data: None,
            cap: cap.into(),
        }
    }

    /// More bytes have come.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    /// The next event that has data, if all of it is here.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, TooLong> {
        while let Some(line) = self.lines.next()? {
            if let Some(event) = self.line(&line)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The event that had begun where the stream ended.
    pub(crate) fn rest(&mut self) -> Result<Option<Event>, TooLong> {
        let last = self.lines.rest();
        if !last.is_empty() {
            self.line(&last)?;
        }
        Ok(self.event())
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Event>, TooLong> {
        let line = if self.begun {
            line
        } else {
            line.strip_prefix(MARK).unwrap_or(line)
        };
        self.begun = true;
        if line.is_empty() {
            return Ok(self.event());
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            b"data" => {
                let data = match &mut self.data {
                    Some(data) => {
                        data.extend_from_slice(b"\n");
                        data
                    }
                    none => none.insert(BytesMut::new()),
                };
                data.extend_from_slice(value);
                let bytes = data.len() as u64;
                if bytes > self.cap {
                    return Err(TooLong { bytes });
                }
            }
            // A comment, an id, a time to wait: nothing for us.
            _ => {}
        }
        Ok(None)
    }

    fn event(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let data = self.data.take()?.freeze();
        Some(Event { name, data })
    }
}

/// `event: ` and `data: ` are shorter.
const LONGEST_FIELD: u32 = 16;
/// The mark that some put before UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(text: &[u8], step: usize) -> Vec<(String, String)> {
        let mut events = Events::new(1000);
        let mut found = Vec::new();
        for piece in text.chunks(step) {
            events.push(piece);
            while let Some(event) = events.next().unwrap() {
                found.push(event);
            }
        }
        found.extend(events.rest().unwrap());
        let text = |data: &Bytes| String::from_utf8(data.to_vec()).unwrap();
        found.into_iter().map(|event| (event.name, text(&event.data))).collect()
    }

    #[test]
    fn events_have_names_and_data_and_the_rest_is_passed_over() {
        let text = b"\xef\xbb\xbf: hello\nid: 1\nevent: upstream\ndata: {\"a\":\ndata:1}\n\nretry: 5\n\ndata: x\r\n\r\nevent: bare\n\ndata\n\nevent: done\ndata: {}";
        for step in [1, 2, 7, 1000] {
            let found = events(text, step);
            let found: Vec<_> = found
                .iter()
                .map(|(name, data)| (name.as_str(), data.as_str()))
                .collect();
            assert_eq!(
                found,
                [("upstream", "{\"a\":\n1}"), ("", "x"), ("", ""), ("done", "{}")],
                "{step}"
            );
        }
    }

    #[test]
    fn what_is_longer_than_the_cap_is_not_kept() {
        let mut lines = Lines::new(4);
        lines.push(b"1234\r\n");
        assert_eq!(lines.next(), Ok(Some("1234".into())));
        lines.push(b"12345");
        assert_eq!(lines.next(), Err(TooLong { bytes: 5 }));
        let mut events = Events::new(4);
        events.push(b"data: 12\ndata: 34\n");
        assert_eq!(events.next(), Err(TooLong { bytes: 5 }));
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_come(text in "[a-c\r\n]{0,60}", step in 1_usize..9) {
            let mut lines = Lines::new(100);
            let mut found = Vec::new();
            for piece in text.as_bytes().chunks(step) {
                lines.push(piece);
                while let Some(line) = lines.next().unwrap() {
                    found.push(String::from_utf8(line.to_vec()).unwrap());
                }
            }
            found.push(String::from_utf8(lines.rest().to_vec()).unwrap());
            let expected: Vec<_> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
