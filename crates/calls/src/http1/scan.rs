//! Finds where a head ends, while it comes. Pure.
//!
//! Each byte is looked at once, however the head is cut into reads.

use memchr::memchr;

use super::{MAX_FIELDS, MAX_HEAD, MAX_TARGET};

/// Looks for the end of one head.
#[derive(Debug)]
pub(crate) struct Scanner {
    line_end: LineEnd,
    /// Everything before has been looked at.
    seen: usize,
    /// Where the line begins that is not whole yet.
    line: usize,
    /// Whole lines, the first one too.
    lines: usize,
    /// Empty lines before the head, in bytes.
    blank: usize,
}

/// What may end a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// CR and LF; anything else is refused.
    Strict,
    /// CR and LF, or LF alone, as RFC 9112 lets a recipient take it.
    Lenient,
}

/// How far a head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scan {
    /// Not whole yet.
    More,
    /// The head is `start..end`, with the empty line that ends it.
    Whole {
        /// After the empty lines before it.
        start: usize,
        /// Where the body begins.
        end: usize,
    },
}

/// Why a head is not waited for any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TooLarge {
    /// The target is too long.
    Target,
    /// The head has too many bytes, or fields.
    Head,
    /// A line ends without CR.
    BareLf,
}

/// The longest method, the two spaces and the version, roughly: what a first line has beside its target.
const AROUND_TARGET: usize = 64;
/// Empty lines that are passed over before a head, in bytes.
const MAX_BLANK: usize = 8;

impl Scanner {
    pub(crate) fn new(line_end: LineEnd) -> Self {
        Self {
            line_end,
            seen: 0,
            line: 0,
            lines: 0,
            blank: 0,
        }
    }

    /// Whether the head has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.seen > self.blank
    }

    /// Looks at what has come since; `bytes` is everything from the same place on.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<Scan, TooLarge> {
        while let Some(at) = memchr(b'\n', &bytes[self.seen..]) {
            let at = self.seen + at;
            let mut line = &bytes[self.line..at];
            match line.strip_suffix(b"\r") {
                Some(stripped) => line = stripped,
                None if self.line_end == LineEnd::Strict => return Err(TooLarge::BareLf),
                None => {}
            }
            self.seen = at + 1;
            self.line = at + 1;
            if line.is_empty() {
                if self.lines > 0 {
                    let (start, end) = (self.blank, self.seen);
                    return if end - start > MAX_HEAD {
                        Err(TooLarge::Head)
                    } else {
                        Ok(Scan::Whole { start, end })
                    };
                }
                self.blank = self.seen;
                if self.blank > MAX_BLANK {
                    return Err(TooLarge::Head);
                }
                continue;
            }
            self.lines += 1;
            if self.lines == 1 && line.len() > MAX_TARGET + AROUND_TARGET {
                return Err(TooLarge::Target);
            }
            if self.lines > MAX_FIELDS + 1 {
                return Err(TooLarge::Head);
            }
        }
        self.seen = bytes.len();
        if self.lines == 0 && bytes.len() - self.line > MAX_TARGET + AROUND_TARGET {
            return Err(TooLarge::Target);
        }
        if bytes.len() - self.blank > MAX_HEAD {
            return Err(TooLarge::Head);
        }
        Ok(Scan::More)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(bytes: &[u8]) -> Result<Scan, TooLarge> {
        Scanner::new(LineEnd::Strict).scan(bytes)
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
        assert_eq!(whole(head), Ok(Scan::Whole { start: 0, end: 27 }));
        assert_eq!(
            whole(b"\r\nGET / HTTP/1.1\r\n\r\n"),
            Ok(Scan::Whole { start: 2, end: 20 })
        );
        assert_eq!(whole(b"GET / HTTP/1.1\r\nHost: a\r\n"), Ok(Scan::More));
    }

    #[test]
    fn a_bare_line_feed_is_refused_or_taken() {
        let head = b"HTTP/1.1 200 OK\nA: b\n\n";
        assert_eq!(whole(head), Err(TooLarge::BareLf));
        let mut lenient = Scanner::new(LineEnd::Lenient);
        assert_eq!(lenient.scan(head), Ok(Scan::Whole { start: 0, end: 22 }));
    }

    #[test]
    fn what_is_too_large_is_not_waited_for() {
        let target = [b"GET /", "x".repeat(MAX_TARGET + 100).as_bytes()].concat();
        assert_eq!(whole(&target), Err(TooLarge::Target));
        let value = [b"GET / HTTP/1.1\r\nA: ", "x".repeat(MAX_HEAD).as_bytes()].concat();
        assert_eq!(whole(&value), Err(TooLarge::Head));
        let fields = |count: usize| ["GET / HTTP/1.1\r\n", &"A: b\r\n".repeat(count), "\r\n"].concat();
        assert!(matches!(whole(fields(MAX_FIELDS).as_bytes()), Ok(Scan::Whole { .. })));
        assert_eq!(whole(fields(MAX_FIELDS + 1).as_bytes()), Err(TooLarge::Head));
        assert_eq!(whole("\r\n".repeat(5).as_bytes()), Err(TooLarge::Head));
    }

    proptest! {
        #[test]
        fn the_end_is_the_same_however_the_head_comes(text in "[a\r\n]{0,40}", step in 1_usize..7) {
            let bytes = text.as_bytes();
            let mut scanner = Scanner::new(LineEnd::Strict);
            let mut found = Ok(Scan::More);
            for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
                found = scanner.scan(&bytes[..end]);
                if found != Ok(Scan::More) {
                    break;
                }
            }
            prop_assert_eq!(found, whole(bytes));
        }
    }
}
