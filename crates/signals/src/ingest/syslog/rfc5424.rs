//! Messages of RFC 5424, behind their priority.

use std::borrow::Cow;

use super::{Element, Message, message::BOM, time::Clock};

/// Reads what follows the priority of `message`; `None` where that is no header of this RFC.
///
/// A header that ends early, and structured data that is none, are taken for text from there on.
pub(super) fn read<'a>(message: &Message<'a>, clock: &Clock) -> Option<Message<'a>> {
    let rest = message.text.strip_prefix("1 ")?;
    let (word, rest) = word(rest);
    let time = match word {
        "-" => None,
        word => {
            let (time, after) = clock.iso(word)?;
            if !after.is_empty() {
                return None;
            }
            Some(time)
        }
    };
    let (host, rest) = self::word(rest);
    let (app, rest) = self::word(rest);
    let (process, rest) = self::word(rest);
    let (id, rest) = self::word(rest);
    let (structured, text) = structured(rest);
    Some(Message {
        time,
        host: some(host),
        app: some(app),
        process: some(process),
        id: some(id),
        structured,
        text: text.strip_prefix(BOM).unwrap_or(text),
        ..*message
    })
}

/// Up to the next space, and what follows it.
fn word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

fn some(word: &str) -> Option<&str> {
    Some(word).filter(|word| !matches!(*word, "" | "-"))
}

fn structured(text: &str) -> (Vec<Element<'_>>, &str) {
    if text == "-" {
        return (Vec::new(), "");
    }
    if let Some(rest) = text.strip_prefix("- ") {
        return (Vec::new(), rest);
    }
    let (mut elements, mut rest) = (Vec::new(), text);
    while rest.starts_with('[') {
        let Some((element, after)) = element(rest) else {
            break;
        };
        elements.push(element);
        rest = after;
    }
    if elements.is_empty() {
        return (elements, text);
    }
    (elements, rest.strip_prefix(' ').unwrap_or(rest))
}

/// `[ID NAME="VALUE" ..]`, and what follows it.
fn element(text: &str) -> Option<(Element<'_>, &str)> {
    let (id, mut rest) = name(text.strip_prefix('[')?)?;
    let mut params = Vec::new();
    loop {
        rest = rest.trim_start_matches(' ');
        if let Some(after) = rest.strip_prefix(']') {
            return Some((Element { id, params }, after));
        }
        let (name, after) = name(rest)?;
        let (value, after) = value(after.strip_prefix("=\"")?)?;
        params.push((name, value));
        rest = after;
    }
}

fn name(text: &str) -> Option<(&str, &str)> {
    let end = text.find([' ', '=', ']', '"'])?;
    (end > 0).then(|| text.split_at(end))
}

/// Up to the quote that ends it, and what follows that. A backslash stands before `"`, `\` and `]` alone.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let (mut value, mut rest) = (Cow::Borrowed(""), text);
    loop {
        let at = rest.find(['"', '\\'])?;
        let (before, after) = rest.split_at(at);
        let is_end = after.starts_with('"');
        let kept = match after.as_bytes().get(1) {
            _ if is_end => before,
            Some(b'"' | b'\\' | b']') => before,
            // A backslash that says nothing is one.
            _ => &rest[..=at],
        };
        if value.is_empty() {
            value = Cow::Borrowed(kept);
        } else if !kept.is_empty() {
            value.to_mut().push_str(kept);
        }
        rest = &after[1..];
        if is_end {
            return Some((value, rest));
        }
        if let Some(escaped) = rest.strip_prefix(['"', '\\', ']']) {
            value.to_mut().push_str(&rest[..1]);
            rest = escaped;
        }
    }
}
