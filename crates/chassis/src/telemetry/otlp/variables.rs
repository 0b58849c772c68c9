//! Reads `OTEL_*` variables. One that cannot be read is as if it were not set, with a note that says so.

use std::{collections::BTreeMap, str::FromStr};

/// The variables, and what was found to be wrong with them.
pub(super) struct Variables<'e> {
    environment: &'e BTreeMap<String, String>,
    notes: Vec<String>,
}

impl<'e> Variables<'e> {
    pub(super) fn new(environment: &'e BTreeMap<String, String>) -> Self {
        Self {
            environment,
            notes: Vec::new(),
        }
    }

    /// A value; an empty one is as if it were not set.
    pub(super) fn text(&self, name: &str) -> Option<&'e str> {
        let text = self.environment.get(name)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The first of these that is set, with its name.
    pub(super) fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &'e str)> {
        names.iter().find_map(|name| Some((*name, self.text(name)?)))
    }

    /// Whether it says `true`.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// The first of these numbers that is set, else `default`.
    pub(super) fn number<T: FromStr + Copy>(&mut self, names: &[&str], default: T) -> T {
        let Some((name, text)) = self.first(names) else {
            return default;
        };
        text.parse().unwrap_or_else(|_| {
            self.note(format!(
                "{name} is `{text}`, which is no number of its kind: passed over"
            ));
            default
        })
    }

    /// `key=value` pairs between commas, percent-encoded; one that is broken makes them all broken.
    pub(super) fn pairs(&mut self, name: &str) -> Vec<(String, String)> {
        let Some(text) = self.text(name) else {
            return Vec::new();
        };
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=')?;
            let key = decoded(key.trim()).filter(|key| !key.is_empty())?;
            Some((key, decoded(value.trim())?))
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(pair).collect::<Option<_>>().unwrap_or_else(|| {
            self.note(format!(
                "{name} is not of the form `key=value,key=value`, percent-encoded: passed over"
            ));
            Vec::new()
        })
    }

    /// Something that the user has to know.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(super) fn into_notes(self) -> Vec<String> {
        self.notes
    }
}

/// The text with its `%XX` resolved; `None` where that is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}
