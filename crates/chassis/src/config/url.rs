//! Passwords in URLs, masked before anyone prints them.

use std::borrow::Cow;
use std::ops::Range;

use super::tree::Place;

/// `text` with the password of every URL in it replaced by `***`.
///
/// ```
/// use chassis::config::mask_urls;
///
/// assert_eq!(mask_urls("amqp://guest:pa:ss@rabbit/%2f"), "amqp://guest:***@rabbit/%2f");
/// assert_eq!(mask_urls("http://localhost:8080/a@b"), "http://localhost:8080/a@b");
/// ```
pub fn mask_urls(text: &str) -> Cow<'_, str> {
    let passwords = passwords(text);
    if passwords.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut from = 0;
    for password in passwords {
        masked.push_str(&text[from..password.start]);
        masked.push_str("***");
        from = password.end;
    }
    masked.push_str(&text[from..]);
    Cow::Owned(masked)
}

/// `text` with URL passwords and the characters at `secrets` as asterisks, one for one, so that columns stay true.
pub(super) fn veil(text: &str, secrets: &[Place]) -> String {
    let passwords = passwords(text);
    let hidden = |index: usize, byte: usize| {
        passwords.iter().any(|range| range.contains(&byte))
            || secrets
                .iter()
                .any(|place| matches!(place, Place::File(range) if range.contains(&index)))
    };
    text.char_indices()
        .enumerate()
        .map(|(index, (byte, c))| match c {
            '\n' | '\r' | '\t' => c,
            _ if hidden(index, byte) => '*',
            _ => tame(c),
        })
        .collect()
}

/// A sentence without passwords, on one line, and fit for a terminal.
pub(super) fn printable(text: &str) -> String {
    mask_urls(text)
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { tame(c) })
        .collect()
}

/// Neither an escape sequence nor a separator that others would count as a line may reach a terminal.
fn tame(c: char) -> char {
    if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
        '\u{fffd}'
    } else {
        c
    }
}

/// The byte ranges of the passwords in `text`.
fn passwords(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (scheme, _) in text.match_indices(":/") {
        let after = text[scheme + 1..].trim_start_matches('/');
        let start = text.len() - after.len();
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | '<' | '>');
        let whole = &after[..after.find(ends).unwrap_or(after.len())];
        let authority = &whole[..whole.find(['/', '?', '#']).unwrap_or(whole.len())];
        // A password may hold what ought to be encoded there; what follows a host is a port.
        let is_port = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let at = authority.rfind('@').or_else(|| {
            let (_, tail) = authority.rsplit_once(':')?;
            if is_port(tail) { None } else { whole.rfind('@') }
        });
        let Some(at) = at else { continue };
        if let Some(colon) = whole[..at].find(':') {
            found.push(start + colon + 1..start + at);
        }
    }
    found.retain(|range| !range.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passwords_are_masked() {
        assert_eq!(mask_urls("redis://:tok@h:6379/0"), "redis://:***@h:6379/0");
        assert_eq!(mask_urls("nats://user@h"), "nats://user@h");
        assert_eq!(mask_urls("amqp://u:p/a?s#s@w@h/v"), "amqp://u:***@h/v");
        assert_eq!(mask_urls("amqp:/u:p@h"), "amqp:/u:***@h");
        assert_eq!(
            mask_urls("http://h:80/a@b http://[::1]:80/a@b"),
            "http://h:80/a@b http://[::1]:80/a@b"
        );
        assert_eq!(
            mask_urls("a amqp://u:p@h, b http://x:y@z/ c"),
            "a amqp://u:***@h, b http://x:***@z/ c"
        );
        assert_eq!(mask_urls("sqlite:queue.db"), "sqlite:queue.db");
    }

    #[test]
    fn veiled_text_keeps_its_length() {
        let text = "url: amqp://u:pässwort@h\nkey: abc\n";
        assert_eq!(
            veil(text, &[Place::File(30..33)]),
            "url: amqp://u:********@h\nkey: ***\n"
        );
    }
}
