//! Arguments that are more than a text: checked as they are read, so that a mistake is one of usage.

use std::{str::FromStr, time::Duration};

use jiff::{SignedDuration, Timestamp};

/// The actors that a message visits, in order; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route(Vec<String>);

impl Route {
    /// The actor that gets the message first.
    pub fn first(&self) -> &str {
        self.0.first().expect("a route has at least one actor")
    }

    /// The actors after the first.
    pub fn later(&self) -> &[String] {
        &self.0[1..]
    }

    /// All actors.
    pub fn actors(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let actor = |name: &str| {
            wire::actor_name(name)
                .map(str::to_owned)
                .map_err(|error| error.to_string())
        };
        text.split(',').map(actor).collect::<Result<_, _>>().map(Self)
    }
}

/// A header, written `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What stands before the first `=`.
    pub name: String,
    /// What stands after it.
    pub value: String,
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("a header is written NAME=VALUE".to_owned()),
        }
    }
}

/// A moment: itself, or how long from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// This very moment.
    At(Timestamp),
    /// So long after the command began.
    In(Duration),
}

impl Deadline {
    /// The moment, seen from `now`; the end of time where it lies beyond.
    pub fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::In(time) => SignedDuration::try_from(time)
                .ok()
                .and_then(|time| now.checked_add(time).ok())
                .unwrap_or(Timestamp::MAX),
        }
    }
}

impl FromStr for Deadline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(moment) = text.parse() {
            return Ok(Self::At(moment));
        }
        let time: chassis::config::Duration = text
            .parse()
            .map_err(|_| "write a moment such as 2026-01-31T18:00:00Z, or a duration such as 10m".to_owned())?;
        Ok(Self::In(time.get()))
    }
}

/// Reads the id of a message.
pub fn message_id(text: &str) -> Result<String, String> {
    if wire::valid_id(text) {
        Ok(text.to_owned())
    } else {
        Err("an id has 1 to 256 bytes and no control characters".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_actors_between_commas() {
        let route: Route = "a,b-2,C_3".parse().unwrap();
        assert_eq!(
            (route.first(), route.later()),
            ("a", &["b-2".to_owned(), "C_3".to_owned()][..])
        );
        for text in ["", ",", "a,", "a b", "-", "a,-b"] {
            assert!(text.parse::<Route>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_header_is_split_at_its_first_equals_sign() {
        let header: Header = "k=a=b".parse().unwrap();
        assert_eq!((header.name.as_str(), header.value.as_str()), ("k", "a=b"));
        assert_eq!("k=".parse::<Header>().unwrap().value, "");
        assert!("=v".parse::<Header>().is_err() && "k".parse::<Header>().is_err());
    }

    #[test]
    fn a_deadline_is_a_moment_or_a_while() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Deadline>().unwrap().from(now).to_string();
        assert_eq!(at("10m"), "2026-01-01T00:10:00Z");
        assert_eq!(at("2026-01-01T01:00:00+01:00"), "2026-01-01T00:00:00Z");
        assert_eq!(at("180000d"), "2518-10-29T00:00:00Z");
        assert!("soon".parse::<Deadline>().is_err());
    }
}
