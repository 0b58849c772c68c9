//! Which lines somebody wants to see.

use serde::Deserialize;
use wire::signal::{Data, Level, Record};

use crate::routing::Pattern;

/// Which lines somebody wants to see; by default all.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    source: Option<Pattern>,
    kinds: Vec<String>,
    level: Option<Level>,
    name: Option<Pattern>,
}

/// The same as a query has it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wanted {
    source: String,
    #[serde(rename = "type")]
    kind: String,
    level: String,
    name: String,
}

impl Filter {
    /// Whether a line is wanted.
    pub(super) fn allows(&self, record: &Record<'_>) -> bool {
        if !self.kinds.is_empty() && !self.kinds.iter().any(|kind| *kind == record.kind) {
            return false;
        }
        if self
            .source
            .as_ref()
            .is_some_and(|source| !source.matches(&record.source))
        {
            return false;
        }
        (self.level.is_none() && self.name.is_none()) || self.allows_data(&record.data())
    }

    fn allows_data(&self, data: &Data<'_>) -> bool {
        let is = |least: Level| {
            data.level
                .as_deref()
                .and_then(Level::named)
                .is_some_and(|level| level >= least)
        };
        let named = |pattern: &Pattern| data.name.as_deref().is_some_and(|name| pattern.matches(name));
        self.level.is_none_or(is) && self.name.as_ref().is_none_or(named)
    }
}

impl TryFrom<Wanted> for Filter {
    type Error = String;

    fn try_from(wanted: Wanted) -> Result<Self, String> {
        let pattern = |text: String| (!text.is_empty()).then(|| Pattern::new(text));
        let level = match wanted.level.as_str() {
            "" => None,
            name => Some(Level::named(name).ok_or_else(|| {
                format!("there is no level `{name}`: use `debug`, `info`, `warn`, `error` or `fatal`")
            })?),
        };
        let kinds = wanted.kind.split(',').map(str::trim).filter(|kind| !kind.is_empty());
        Ok(Self {
            source: pattern(wanted.source),
            kinds: kinds.map(str::to_owned).collect(),
            level,
            name: pattern(wanted.name),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use axum::{extract::Query, http::Uri};
    use wire::signal::Line;

    use super::*;

    /// A filter as a query has it.
    pub(crate) fn filter(query: &str) -> Result<Filter, String> {
        let uri: Uri = format!("/tail?{query}").parse().unwrap();
        let Query(wanted) = Query::<Wanted>::try_from_uri(&uri).map_err(|error| error.body_text())?;
        Filter::try_from(wanted)
    }

    fn allows(query: &str, line: &str) -> bool {
        let Ok(Line::Data(record)) = Line::read(line.as_bytes()) else {
            panic!("no data line: {line}");
        };
        filter(query).unwrap().allows(&record)
    }

    #[test]
    fn each_part_of_a_filter_leaves_out_what_does_not_fit() {
        let line = r#"{"src":"db-loader","ts":1,"type":"event","data":{"level":"warn","name":"load.rows"}}"#;
        for query in [
            "",
            "source=&type=&level=&name=",
            "source=db-*",
            "type=event",
            "type=metric,event",
            "level=WARNING",
            "level=debug&name=load.*&source=*loader&type=event",
        ] {
            assert!(allows(query, line), "{query}");
        }
        for query in [
            "source=db",
            "type=metric",
            "level=error",
            "name=rows",
            "source=db-*&level=fatal",
        ] {
            assert!(!allows(query, line), "{query}");
        }
        let bare = r#"{"src":"db-loader","ts":1,"type":"event"}"#;
        assert!(!allows("level=debug", bare) && !allows("name=*", bare) && allows("source=db-*", bare));
    }

    #[test]
    fn what_is_no_filter_is_said() {
        assert!(filter("level=loud").unwrap_err().contains("`loud`"));
        assert!(filter("sorce=a").unwrap_err().contains("sorce"));
    }
}
