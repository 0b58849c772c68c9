//! Names and the paths that they have. Pure.

/// A path of the server itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    Health,
    Version,
    Functions,
    Types,
    Invoke,
}

impl Path {
    /// The one that this is.
    pub(crate) fn own(path: &str) -> Option<Self> {
        Some(match path {
            "/health" => Self::Health,
            "/version" => Self::Version,
            "/functions" => Self::Functions,
            "/types" => Self::Types,
            "/invoke" => Self::Invoke,
            _ => return None,
        })
    }
}

/// A name as it stands in a path: `process_data` and `processData` are `process-data`.
pub(crate) fn kebab(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut kebab = String::with_capacity(name.len() + 4);
    for (at, &letter) in letters.iter().enumerate() {
        if letter == '_' || letter == '-' {
            if !kebab.is_empty() && !kebab.ends_with('-') {
                kebab.push('-');
            }
            continue;
        }
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1);
        // A word begins with a capital; of several in a row, with the last that has a small letter after it.
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || (before.is_uppercase() && after.is_some_and(|it| it.is_lowercase()))
            });
        if begins && !kebab.ends_with('-') {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab.trim_end_matches('-').to_owned()
}

/// Whether a package or a function may be called this.
pub(super) fn is_name(name: &str) -> bool {
    let first = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first
        && name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_the_name_in_kebab_case() {
        for (name, path) in [
            ("process_data", "process-data"),
            ("processData", "process-data"),
            ("ProcessData", "process-data"),
            ("search", "search"),
            ("parseHTTPRequest", "parse-http-request"),
            ("toJSON", "to-json"),
            ("v2Thing", "v2-thing"),
            ("add2", "add2"),
            ("_private", "private"),
            ("a__b", "a-b"),
            ("already-kebab", "already-kebab"),
            ("trailing_", "trailing"),
        ] {
            assert_eq!(kebab(name), path, "{name}");
        }
    }

    proptest! {
        #[test]
        fn kebab_case_is_small_and_stays_as_it_is(name in "[A-Za-z_][A-Za-z0-9_-]{0,20}") {
            let once = kebab(&name);
            prop_assert_eq!(kebab(&once), once.clone());
            prop_assert!(!once.starts_with('-') && !once.ends_with('-') && !once.contains("--"));
            prop_assert!(once.bytes().all(|byte| !byte.is_ascii_uppercase() && byte != b'_'));
        }
    }
}
