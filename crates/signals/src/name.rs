//! Names of others where they become file names or labels.

use std::borrow::Cow;

use crate::routing::hash;

/// The most bytes of a safe name before its mark.
const LONGEST: usize = 100;

/// A name of letters, digits, `.`, `_` and `-` alone, without a dot in front; one that had to be changed gets a mark made
/// of what it was, so that two names do not become one.
pub(crate) fn safe(name: &str) -> Cow<'_, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_safe = name.len() <= LONGEST && !name.starts_with('.') && name.bytes().all(fits);
    if is_safe {
        return Cow::Borrowed(name);
    }
    let mut safe: String = name
        .bytes()
        .take(LONGEST)
        .map(|byte| if fits(byte) { char::from(byte) } else { '_' })
        .collect();
    if safe.starts_with('.') {
        safe.replace_range(..1, "_");
    }
    Cow::Owned(format!("{safe}-{}", mark(name)))
}

/// Eight characters that tell a text from others.
pub(crate) fn mark(text: &str) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a mark is 32 bits of the hash")]
    let mark = hash(text.as_bytes()) as u32;
    format!("{mark:08x}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_cannot_leave_its_folder() {
        assert_eq!(safe("queue-service"), "queue-service");
        for name in ["../../etc/passwd", "..", ".", ".hidden", "a/b", "a\0b", "ü", "a b"] {
            let safe = safe(name);
            assert!(!safe.contains('/') && !safe.starts_with('.'), "{safe}");
            assert_ne!(safe, name);
        }
        assert_ne!(safe("a/b"), safe("a_b"));
        assert_ne!(safe("a/b"), safe("a:b"));
    }

    proptest! {
        #[test]
        fn every_name_becomes_short_and_plain(name in "\\PC{0,300}") {
            let safe = safe(&name);
            prop_assert!(safe.len() <= LONGEST + 9);
            prop_assert!(safe.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
        }
    }
}
