//! Paths as they are matched: dot segments resolved, and what need not be encoded decoded. Pure.

use std::borrow::Cow;

/// The path as its upstream would resolve it: `/a/%2e./b` is `/b`. Only characters that need no encoding are decoded.
///
/// ```
/// use calls::routes::resolved;
///
/// assert_eq!(resolved("/good/%2E%2e/x"), "/x");
/// assert_eq!(resolved("/a%2fb"), "/a%2fb");
/// ```
pub fn resolved(path: &str) -> Cow<'_, str> {
    let decoded = decoded(path);
    if !decoded.contains("/.") || !decoded.starts_with('/') {
        return decoded;
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = decoded[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    let mut whole = String::with_capacity(decoded.len());
    for segment in kept {
        whole.push('/');
        whole.push_str(segment);
    }
    if whole.is_empty() {
        whole.push('/');
    }
    Cow::Owned(whole)
}

/// Whether a path may have dot segments, encoded or not.
pub(super) fn has_dots(path: &str) -> bool {
    decoded(path).contains("/.")
}

/// `%2e` as `.`, and so on for letters, digits, `-`, `_` and `~`.
fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut whole = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        whole.push_str(before);
        let plain = escape.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let plain = plain.filter(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte));
        whole.push(plain.map_or('%', char::from));
        rest = &escape[if plain.is_some() { 3 } else { 1 }..];
    }
    whole.push_str(rest);
    Cow::Owned(whole)
}

/// Whether a path lies below a prefix, or is it; a prefix ends at a segment.
pub(super) fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dot_segments_are_resolved_and_nothing_else() {
        for (path, wanted) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/../../b", "/b"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/%61/b", "/a/b"),
            ("/a/...", "/a/..."),
            ("/a/.b", "/a/.b"),
            ("/a//b", "/a//b"),
            ("/a//../b", "/a/b"),
            ("/a%2fb", "/a%2fb"),
            ("/a%2", "/a%2"),
            ("/a%", "/a%"),
            ("/a%zz", "/a%zz"),
            ("/a%2\u{e4}", "/a%2\u{e4}"),
            ("/%252e%252e/x", "/%252e%252e/x"),
            ("*", "*"),
        ] {
            assert_eq!(resolved(path), wanted, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_resolved_path_has_no_dot_segments_and_stays_so(path in "/[a./%2eE]{0,30}") {
            let once = resolved(&path).into_owned();
            prop_assert!(once.starts_with('/'));
            prop_assert!(!once.split('/').any(|segment| segment == "." || segment == ".."), "{}", once);
        }
    }
}
