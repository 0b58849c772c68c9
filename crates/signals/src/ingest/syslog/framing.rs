//! Cuts a TCP stream into syslog messages (RFC 6587): in octet counting, or in lines, told apart message by message.
//!
//! Pure. A message that is too long costs itself alone, and what is held never exceeds the longest one.

use wire::signal::LONGEST_LINE;

/// What a stream is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A message; never empty.
    Message(&'a [u8]),
    /// A message of more bytes than one may have.
    TooLong,
    /// The beginning of a message whose length was given, and whose rest never came.
    Broken,
}

/// Cuts one stream.
#[derive(Debug, Default)]
pub struct Framer {
    /// The beginning of a message whose end has not come.
    begun: Vec<u8>,
    skips: Skips,
}

/// What of a message that is too long is still to come, and is passed over.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Skips {
    #[default]
    Nothing,
    Octets(usize),
    Line,
}

/// How the next message begins.
enum Head {
    /// So many bytes say that so many follow.
    Counted {
        head: usize,
        length: usize,
    },
    Line,
    /// That cannot be told yet.
    Unknown,
}

/// Digits of a length; more are none.
const DIGITS: usize = 9;

impl Framer {
    /// Cuts what came; whole messages go to `each` in their order.
    pub fn split(&mut self, bytes: &[u8], mut each: impl FnMut(Frame<'_>)) {
        if self.begun.is_empty() {
            let rest = self.cut(bytes, &mut each);
            self.begun = bytes[rest..].to_vec();
            return;
        }
        let grows = self.begun.len() + bytes.len() <= LONGEST_LINE + 1 && end_of_line(bytes).is_none();
        if grows && matches!(head(&self.begun), Head::Line) {
            // Without a look at what was looked at before: a line may come byte by byte.
            self.begun.extend_from_slice(bytes);
            return;
        }
        let mut whole = std::mem::take(&mut self.begun);
        whole.extend_from_slice(bytes);
        let rest = self.cut(&whole, &mut each);
        // What one long message took is not kept for ever.
        self.begun = if rest == 0 { whole } else { whole[rest..].to_vec() };
    }

    /// The stream has ended: what came of a last message goes to `each`.
    pub fn end(&mut self, mut each: impl FnMut(Frame<'_>)) {
        let rest = std::mem::take(&mut self.begun);
        if rest.is_empty() {
            return;
        }
        match head(&rest) {
            Head::Counted { .. } => each(Frame::Broken),
            Head::Line | Head::Unknown => message(&rest, &mut each),
        }
    }

    /// Says from where on it is not known yet what it is.
    fn cut(&mut self, bytes: &[u8], each: &mut impl FnMut(Frame<'_>)) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.skips {
                Skips::Octets(left) => {
                    let gone = left.min(rest.len());
                    self.skips = if gone < left {
                        Skips::Octets(left - gone)
                    } else {
                        Skips::Nothing
                    };
                    at += gone;
                    continue;
                }
                Skips::Line => {
                    let Some(end) = end_of_line(rest) else {
                        return bytes.len();
                    };
                    self.skips = Skips::Nothing;
                    at += end + 1;
                    continue;
                }
                Skips::Nothing => {}
            }
            if is_end(rest[0]) || rest[0] == b'\r' {
                at += 1;
                continue;
            }
            match head(rest) {
                Head::Unknown => break,
                Head::Counted { head, length } if length > LONGEST_LINE => {
                    each(Frame::TooLong);
                    self.skips = Skips::Octets(length);
                    at += head;
                }
                Head::Counted { head, length } => {
                    let Some(whole) = rest.get(head..head + length) else {
                        break;
                    };
                    message(whole, each);
                    at += head + length;
                }
                Head::Line => match end_of_line(rest) {
                    Some(end) => {
                        message(&rest[..end], each);
                        at += end + 1;
                    }
                    // One more may be a carriage return.
                    None if rest.len() > LONGEST_LINE + 1 => {
                        each(Frame::TooLong);
                        self.skips = Skips::Line;
                    }
                    None => break,
                },
            }
        }
        at
    }
}

fn message(bytes: &[u8], each: &mut impl FnMut(Frame<'_>)) {
    let end = bytes.iter().rposition(|byte| !is_end(*byte) && *byte != b'\r');
    let Some(end) = end else { return };
    each(if end >= LONGEST_LINE {
        Frame::TooLong
    } else {
        Frame::Message(&bytes[..=end])
    });
}

/// A message in octet counting is a length, a space, and a priority: a line may begin with a number too.
fn head(bytes: &[u8]) -> Head {
    let digits = bytes
        .iter()
        .take(DIGITS)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits == 0 || bytes[0] == b'0' {
        return Head::Line;
    }
    match (bytes.get(digits), bytes.get(digits + 1)) {
        (None, _) | (Some(b' '), None) => Head::Unknown,
        (Some(b' '), Some(b'<')) => {
            let length = bytes[..digits]
                .iter()
                .fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
            Head::Counted {
                head: digits + 1,
                length,
            }
        }
        _ => Head::Line,
    }
}

/// Some senders end messages with a NUL (RFC 6587, 3.4.2).
fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\0')
}

fn end_of_line(bytes: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\n', b'\0', bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Result<String, &'static str>> {
        let (mut framer, mut cut) = (Framer::default(), Vec::new());
        let mut note = |frame: Frame<'_>| {
            cut.push(match frame {
                Frame::Message(text) => Ok(String::from_utf8_lossy(text).into_owned()),
                Frame::TooLong => Err("too long"),
                Frame::Broken => Err("broken"),
            });
        };
        for chunk in chunks {
            framer.split(chunk, &mut note);
            assert!(framer.begun.len() <= LONGEST_LINE + DIGITS + 1);
        }
        framer.end(&mut note);
        cut
    }

    fn all(stream: &[u8]) -> Vec<Result<String, &'static str>> {
        let whole = frames([stream]);
        for size in [1, 2, 7, 1000] {
            assert_eq!(frames(stream.chunks(size)), whole, "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn both_framings_are_told_apart_message_by_message() {
        let stream = b"8 <13>a\nb\n<13>line\r\n\n7 <14>two9 <15>three12 monkeys\n0 <1>x\n5 <1>aB\0c";
        let wanted = [
            "<13>a\nb",
            "<13>line",
            "<14>two",
            "<15>three",
            "12 monkeys",
            "0 <1>x",
            "<1>aB",
            "c",
        ];
        assert_eq!(all(stream), wanted.map(|text| Ok(text.to_owned())));
    }

    #[test]
    fn a_message_that_is_too_long_costs_itself_alone() {
        let long = "x".repeat(LONGEST_LINE - 2);
        let stream = format!("<1>{long}\n<1>a\n{} <1>{long}7 <2>next\n", LONGEST_LINE + 1);
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(
            all(stream.as_bytes()),
            [Err("too long"), ok("<1>a"), Err("too long"), ok("<2>next")]
        );
        let just = "x".repeat(LONGEST_LINE - 3);
        assert_eq!(all(format!("<1>{just}").as_bytes()), [Ok(format!("<1>{just}"))]);
        assert_eq!(all(format!("<1>{just}\r\n").as_bytes()), [Ok(format!("<1>{just}"))]);
    }

    #[test]
    fn the_end_of_a_stream_is_the_end_of_a_line_but_not_of_a_count() {
        assert_eq!(all(b"<1>whole"), [Ok("<1>whole".to_owned())]);
        assert_eq!(all(b"20 <1>part"), [Err("broken")]);
        assert_eq!(all(b"20"), [Ok("20".to_owned())]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_a_stream_is_torn(stream in "(9 <13>abcde|<13>[ab\n]{0,9}|[0-9]{1,3} ?|<|\n){0,9}", cut in 1_usize..9) {
            prop_assert_eq!(frames(stream.as_bytes().chunks(cut)), frames([stream.as_bytes()]));
        }

        #[test]
        fn what_is_counted_comes_back(texts in proptest::collection::vec("<13>[a-z\n 0-9<]{0,20}[a-z]", 1..5)) {
            let counted: Vec<String> = texts.iter().map(|text| format!("{} {text}", text.len())).collect();
            let stream = counted.concat();
            prop_assert_eq!(frames([stream.as_bytes()]), texts.into_iter().map(Ok).collect::<Vec<_>>());
        }
    }
}
