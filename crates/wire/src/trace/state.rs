//! The list of `tracestate`: what tracing systems have to say to themselves, carried on and never read.

/// The list as it is carried on; `None` where it breaks its grammar or is empty.
///
/// A list within the limits is kept as it came, empty members and spaces too. One that is longer than [`MAX_BYTES`]
/// loses its members of more than 128 bytes first, then those at its end.
pub(super) fn carried(text: &str) -> Option<String> {
    let text = text.trim_matches(BLANK);
    let members: Vec<&str> = text
        .split(',')
        .map(|member| member.trim_matches(BLANK))
        .filter(|member| !member.is_empty())
        .collect();
    if members.is_empty() || members.len() > MAX_MEMBERS || !members.iter().all(|member| is_member(member)) {
        return None;
    }
    if text.len() <= MAX_BYTES {
        return Some(text.to_owned());
    }
    let mut left: usize = members.iter().map(|member| member.len() + 1).sum::<usize>() - 1;
    let mut kept = Vec::with_capacity(members.len());
    // The last of the large ones goes first: those in front are the newest.
    for member in members.into_iter().rev() {
        if left > MAX_BYTES && member.len() > LARGE {
            left = left.saturating_sub(member.len() + 1);
        } else {
            kept.push(member);
        }
    }
    kept.reverse();
    while left > MAX_BYTES {
        let last = kept.pop()?;
        left = left.saturating_sub(last.len() + 1);
    }
    (!kept.is_empty()).then(|| kept.join(","))
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else {
        return false;
    };
    is_key(key.as_bytes()) && is_value(value.as_bytes())
}

fn is_key(key: &[u8]) -> bool {
    let begins = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let goes_on = |byte: &u8| begins(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@');
    key.len() <= MAX_PART && key.first().is_some_and(begins) && key.iter().all(goes_on)
}

fn is_value(value: &[u8]) -> bool {
    let printable = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    (1..=MAX_PART).contains(&value.len()) && value.iter().all(printable)
}

/// Spaces and tabs stand between members and mean nothing.
const BLANK: [char; 2] = [' ', '\t'];
/// A longer list is shortened; the specification asks that this much is always carried on.
pub(super) const MAX_BYTES: usize = 512;
/// More members make the list a broken one.
pub(super) const MAX_MEMBERS: usize = 32;
/// Of a key, or of a value.
const MAX_PART: usize = 256;
/// Members of more bytes are the first to go.
const LARGE: usize = 128;
