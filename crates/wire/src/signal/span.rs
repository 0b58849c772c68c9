//! What a line of type `span` says in its `data`.
//!
//! A span is told of twice, at its start and at its end, so each member may be missing.

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    Record,
    loose::{Key, Loose},
};

/// The members of a span; what is not there, empty, or of another kind is `None`.
///
/// ```
/// use wire::signal::{Line, SpanData};
///
/// let line = br#"{"src":"api","ts":1,"type":"span","tid":"t","sid":"s","data":{"name":"load","start":5,"tags":{"n":1}}}"#;
/// let Ok(Line::Data(record)) = Line::read(line) else { panic!("a data line") };
/// let span = SpanData::of(&record);
/// assert_eq!((span.name.as_deref(), span.start, span.end), (Some("load"), Some(5.0), None));
/// assert_eq!(span.tags, Some(r#"{"n":1}"#));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpanData<'a> {
    /// What was done.
    pub name: Option<Cow<'a, str>>,
    /// Its start, in milliseconds since 1970.
    pub start: Option<f64>,
    /// Its end, in milliseconds since 1970.
    pub end: Option<f64>,
    /// How it ended, or that it runs.
    pub status: Option<Cow<'a, str>>,
    /// An object with at least one member, as it was written.
    pub tags: Option<&'a str>,
}

impl<'a> SpanData<'a> {
    /// Looks into the `data` of a line.
    pub fn of(record: &Record<'a>) -> Self {
        let read = |text| {
            serde_json::Deserializer::from_str(text)
                .deserialize_map(Self::default())
                .ok()
        };
        record.raw_data().and_then(read).unwrap_or_default()
    }
}

impl<'de> Visitor<'de> for SpanData<'de> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data of a span")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            match &*key {
                "name" => self.name = map.next_value_seed(Loose)?.text(),
                "start" => self.start = map.next_value_seed(Loose)?.number(),
                "end" => self.end = map.next_value_seed(Loose)?.number(),
                "status" => self.status = map.next_value_seed(Loose)?.text(),
                "tags" => self.tags = members(map.next_value::<&RawValue>()?.get()),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(self)
    }
}

/// An object that has members.
fn members(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('{')?.strip_suffix('}')?;
    (!inside.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Line;

    #[test]
    fn what_is_empty_or_of_another_kind_is_as_good_as_absent() {
        for data in [
            "null",
            "[1]",
            "{}",
            r#"{"name":"","start":"1","end":null,"status":7,"tags":{ }}"#,
            r#"{"name":["a"],"start":{},"tags":"x"}"#,
        ] {
            let line = format!(r#"{{"src":"a","ts":1,"type":"span","data":{data}}}"#);
            let Ok(Line::Data(record)) = Line::read(line.as_bytes()) else {
                panic!("a data line: {line}");
            };
            assert_eq!(SpanData::of(&record), SpanData::default(), "{data}");
        }
    }
}
