//! "Did you mean ..?"

/// The name that a misspelt one was probably meant to be.
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let written = plain(written);
    names
        .into_iter()
        .map(|name| (name, strsim::normalized_damerau_levenshtein(&written, &plain(name))))
        .filter(|(_, likeness)| *likeness >= ENOUGH)
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(name, _)| name)
}

/// Names as a reader wants them: `` `a`, `b` or `c` ``.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

/// How alike two names have to be.
const ENOUGH: f64 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood_and_another_word_is_not() {
        let names = ["timeout", "replicas", "max_deliveries"];
        assert_eq!(nearest("timeuot", names), Some("timeout"));
        assert_eq!(nearest("max-delivery", names), Some("max_deliveries"));
        assert_eq!(nearest("Replica", names), Some("replicas"));
        assert_eq!(nearest("colour", names), None);
    }

    #[test]
    fn lists_read_as_a_sentence_does() {
        assert_eq!(list(["a"]), "`a`");
        assert_eq!(list(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
