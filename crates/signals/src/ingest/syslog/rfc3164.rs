//! Messages of RFC 3164, behind their priority, and what is taken for them: of a timestamp, a host and a tag each may be
//! missing.

use super::{
    Message,
    time::{self, Clock},
};

/// Reads what follows the priority of `message`.
pub(super) fn read<'a>(mut message: Message<'a>, clock: &Clock) -> Message<'a> {
    let text = message.text.trim_start_matches(' ');
    let Some((time, rest)) = timestamp(text, clock) else {
        return tagged(message);
    };
    message.time = Some(time);
    if let Some(rest) = rest.strip_prefix(':') {
        // A router's way: it says its name to nobody.
        message.text = rest.trim_start_matches(' ');
        return tagged(message);
    }
    message.text = rest.trim_start_matches(' ');
    let text = message.text;
    if tag(text).is_some() {
        return tagged(message);
    }
    let text = text.strip_prefix(FORWARDED).unwrap_or(text);
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let word = if message.text.len() == text.len() {
        word
    } else {
        word.trim_end_matches(':')
    };
    if is_host(word) {
        message.host = Some(word);
        message.text = rest;
    }
    tagged(message)
}

/// How AIX passes messages on.
const FORWARDED: &str = "Message forwarded from ";
/// Longer ones are no tags but text.
const LONGEST_TAG: usize = 128;
/// The longest name that DNS has.
const LONGEST_HOST: usize = 255;

/// In any form, behind the number and the mark that routers put in front.
fn timestamp<'a>(text: &'a str, clock: &Clock) -> Option<(jiff::Timestamp, &'a str)> {
    let numbered = time::digits(text, 1, 9).and_then(|(_, rest)| rest.strip_prefix(": "));
    let text = numbered.unwrap_or(text);
    let text = text.strip_prefix(['*', '.']).unwrap_or(text);
    clock
        .bsd(text)
        .or_else(|| clock.iso(text))
        .filter(|(_, rest)| rest.is_empty() || rest.starts_with([' ', ':']))
}

/// Takes the tag off the text, where there is one.
fn tagged(mut message: Message<'_>) -> Message<'_> {
    if let Some((app, process, text)) = tag(message.text) {
        message.app = Some(app);
        message.process = process;
        message.text = text;
    }
    message
}

/// `NAME:`, `NAME[PROCESS]:` or `NAME[PROCESS]`, and the text that follows.
fn tag(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let end = text.find([':', '[', ' '])?;
    let (name, rest) = text.split_at(end);
    if name.is_empty() || name.len() > LONGEST_TAG {
        return None;
    }
    let (process, rest) = match rest.strip_prefix('[') {
        Some(inside) => {
            let (process, rest) = inside.split_once(']')?;
            if process.len() > LONGEST_TAG || process.contains(' ') {
                return None;
            }
            (Some(process).filter(|process| !process.is_empty()), rest)
        }
        None => (None, rest.starts_with(':').then_some(rest)?),
    };
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    if rest.is_empty() {
        return Some((name, process, rest));
    }
    Some((name, process, rest.strip_prefix(' ')?))
}

fn is_host(word: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'/' | b'[' | b']');
    !word.is_empty() && word.len() <= LONGEST_HOST && word.bytes().all(fits)
}
