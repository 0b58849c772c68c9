//! Named forms of strings, checked before anything is deserialised so that every one that is wrong gets its line.

use std::collections::BTreeMap;

use super::{ByteSize, Duration};

/// What checks a string: why it is wrong, in one sentence, if it is.
pub type Format = fn(&str) -> Result<(), String>;

/// The values of the schema keyword `format` that the loader checks.
///
/// `duration` and `size` are always known. A plane adds its own in [`Config::formats`](super::Config::formats) and
/// names it in the schema: `#[schemars(extend("format" = "queue-url"))]`. A name that is not here is not checked.
#[derive(Debug, Clone)]
pub struct Formats(BTreeMap<&'static str, Format>);

impl Formats {
    /// Has strings of the format `name` checked by `format`.
    pub fn add(&mut self, name: &'static str, format: Format) {
        self.0.insert(name, format);
    }

    pub(super) fn check(&self, name: &str, text: &str) -> Result<(), String> {
        self.0.get(name).map_or(Ok(()), |format| format(text))
    }
}

impl Default for Formats {
    fn default() -> Self {
        let mut formats = Self(BTreeMap::new());
        formats.add("duration", |text| {
            text.parse::<Duration>().map(drop).map_err(|error| error.to_string())
        });
        formats.add("size", |text| {
            text.parse::<ByteSize>().map(drop).map_err(|error| error.to_string())
        });
        formats
    }
}
