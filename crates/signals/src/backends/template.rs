//! A path with places for what a line is.

use std::{fmt, str::FromStr, time::SystemTime};

use jiff::{Timestamp, tz::TimeZone};
use wire::signal::{Line, Record};

use crate::name;

/// A path in which `{source}`, `{type}` and `{date}` stand for a line's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Source,
    Kind,
    Date,
}

/// A place that nobody knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadTemplate(String);

impl fmt::Display for BadTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Template {
    type Err = BadTemplate;

    fn from_str(text: &str) -> Result<Self, BadTemplate> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let Some((place, after)) = after.split_once('}') else {
                return Err(BadTemplate(format!("a brace is not closed in `{text}`")));
            };
            parts.push(match place {
                "source" => Part::Source,
                "type" => Part::Kind,
                "date" => Part::Date,
                other => return Err(BadTemplate(format!("nothing stands for `{{{other}}}` in a path"))),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.is_empty() {
            return Err(BadTemplate("the path is empty".to_owned()));
        }
        Ok(Self { parts })
    }
}

impl Template {
    /// Whether lines of one source and day may differ in their paths.
    pub(crate) fn asks_for_type(&self) -> bool {
        self.parts.contains(&Part::Kind)
    }

    /// The path for lines of a source that came at a time; `kind` is the type of a line.
    pub(crate) fn fill(&self, source: &str, kind: &str, received: SystemTime) -> String {
        let mut path = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Source => path.push_str(&name::safe(source)),
                Part::Kind => path.push_str(&name::safe(kind)),
                Part::Date => path.push_str(&day(received)),
            }
        }
        path
    }
}

/// The UTC day.
fn day(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

/// The type of a line that was whole when it came.
pub(crate) fn kind(line: &[u8]) -> String {
    match Line::read(line) {
        Ok(Line::Data(Record { kind, .. })) => kind.into_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn places_are_filled_with_safe_names() {
        let template: Template = "/logs/{source}/{type}-{date}.jsonl".parse().unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(86_399);
        assert_eq!(template.fill("a", "event", time), "/logs/a/event-1970-01-01.jsonl");
        let path = template.fill("../../x", "a/b", time);
        assert_eq!(path.matches('/').count(), 3, "{path}");
        assert!(path.starts_with("/logs/_._.._x-"), "{path}");
    }

    #[test]
    fn a_place_that_nobody_knows_is_an_error() {
        for text in ["", "{host}", "a{source"] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
    }
}
