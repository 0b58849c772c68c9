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

/// Whether a path leads elsewhere for those who take several slashes for one before they resolve its dots.
pub(super) fn is_ambiguous(path: &str) -> bool {
    let decoded = decoded(path);
    if !decoded.contains("//") || !decoded.contains("/..") {
        return false;
    }
    merged(&resolved(path)) != resolved(&merged(&decoded))
}

fn merged(path: &str) -> String {
    let mut whole = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !whole.ends_with('/') {
            whole.push(character);
        }
    }
    whole
}

/// Whether a path may have dot segments, encoded or not.
pub(super) fn has_dots(path: &str) -> bool {
    decoded(path).contains("/.")
}

/// `%2e` as `.`, and so on for letters, digits, `-`, `_` and `~`. A `%` that begins no escape becomes one, so that none comes about
/// with what is decoded after it.
fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut whole = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        whole.push_str(before);
        let digits = escape
            .get(1..3)
            .filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                whole.push(char::from(byte));
                &escape[3..]
            }
            Some(_) => {
                whole.push_str(&escape[..3]);
                &escape[3..]
            }
            None => {
                whole.push_str("%25");
                &escape[1..]
            }
        };
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
            ("/a%2", "/a%252"),
            ("/a%", "/a%25"),
            ("/a%zz", "/a%25zz"),
            ("/a%+1", "/a%25+1"),
            ("/a%2\u{e4}", "/a%252\u{e4}"),
            ("/%%32e%%32e/x", "/%252e%252e/x"),
            ("/%2%65/x", "/%252e/x"),
            ("/%252e%252e/x", "/%252e%252e/x"),
            ("*", "*"),
        ] {
            assert_eq!(resolved(path), wanted, "{path}");
        }
    }

    #[test]
    fn a_path_that_merged_slashes_lead_elsewhere_is_ambiguous() {
        for path in ["/raw//../x", "/raw//%2e%2e/x", "/raw//./../x", "/a///../../b"] {
            assert!(is_ambiguous(path), "{path}");
        }
        for path in ["/raw//x", "/raw/../x", "//", "/a/../b//c", "/a//...", "*"] {
            assert!(!is_ambiguous(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_resolved_path_has_no_dot_segments_and_stays_so(path in "/[a./%2356eEfF]{0,30}") {
            let once = resolved(&path).into_owned();
            prop_assert!(once.starts_with('/'));
            prop_assert_eq!(resolved(&once), once.as_str());
            prop_assert!(!once.split('/').any(|segment| segment == "." || segment == ".."), "{}", once);
        }
    }
}
