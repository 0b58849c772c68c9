//! Cuts a stream into lines, with a hard bound on what one of them may be.
//!
//! Pure. A line that is too long costs itself alone: what follows its end is taken again.

use wire::signal::LONGEST_LINE;

/// What a stream is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line, without its end; it may be empty.
    Line(&'a [u8]),
    /// A line of more bytes than one may have.
    TooLong,
}

/// Cuts one stream.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// The rest of a line that is too long is passed over.
    skips: bool,
}

impl Splitter {
    /// Cuts what came; whole lines go to `each` in their order.
    pub fn split(&mut self, mut bytes: &[u8], mut each: impl FnMut(Piece<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.skips {
                self.skips = false;
            } else if self.begun.is_empty() {
                each(piece(line));
            } else if self.begun.len() + line.len() > MOST {
                each(Piece::TooLong);
            } else {
                self.begun.extend_from_slice(line);
                each(piece(&self.begun));
            }
            // What one long line took is not kept for ever.
            self.begun = Vec::new();
        }
        if self.skips || bytes.is_empty() {
            return;
        }
        if self.begun.len() + bytes.len() > MOST {
            self.begun = Vec::new();
            self.skips = true;
            each(Piece::TooLong);
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }

    /// What a line whose end has not come takes in memory.
    pub fn begun(&self) -> usize {
        self.begun.capacity()
    }

    /// The stream has ended: what came of a last line without an end goes to `each`.
    pub fn end(&mut self, mut each: impl FnMut(Piece<'_>)) {
        if !self.begun.is_empty() {
            each(piece(&std::mem::take(&mut self.begun)));
        }
        self.skips = false;
    }
}

fn piece(line: &[u8]) -> Piece<'_> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > LONGEST_LINE {
        Piece::TooLong
    } else {
        Piece::Line(line)
    }
}

/// With a carriage return at its end.
const MOST: usize = LONGEST_LINE + 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(chunks: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let (mut splitter, mut pieces) = (Splitter::default(), Vec::new());
        let mut note = |piece: Piece<'_>| {
            pieces.push(match piece {
                Piece::Line(line) => Some(line.to_vec()),
                Piece::TooLong => None,
            });
        };
        for chunk in chunks {
            splitter.split(chunk, &mut note);
        }
        splitter.end(&mut note);
        pieces
    }

    #[test]
    fn a_line_that_is_too_long_costs_itself_alone() {
        let just = vec![b'x'; LONGEST_LINE];
        let over = vec![b'x'; LONGEST_LINE + 1];
        let stream = [&just[..], b"\r\n", &over, b"\na\n", &over, b"\r\n\nb"].concat();
        let wanted = [
            Some(just.clone()),
            None,
            Some(b"a".to_vec()),
            None,
            Some(Vec::new()),
            Some(b"b".to_vec()),
        ];
        assert_eq!(pieces(&[&stream]), wanted);
        let bytewise: Vec<&[u8]> = stream.chunks(1000).collect();
        assert_eq!(pieces(&bytewise), wanted);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_a_stream_is_torn(
            stream in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a')], 0..200),
            cut in 1_usize..20,
        ) {
            let torn: Vec<&[u8]> = stream.chunks(cut).collect();
            prop_assert_eq!(pieces(&torn), pieces(&[&stream]));
        }
    }
}
