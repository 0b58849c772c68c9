//! A signal line: one JSON object that says what a program did, measured or traced.
//!
//! The one rule: a line is read without copying it, and a wrong line tells its one reason. `data` stays as it was
//! written; [`Data`] looks into it for those who route by what it says.

mod loose;
mod span;

pub use span::SpanData;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use loose::{Key, Loose};

/// The longest line, in bytes, its end not counted.
pub const LONGEST_LINE: usize = 65_536;

/// What a line says, borrowed from it.
///
/// ```
/// use wire::signal::{Line, Record};
///
/// let line = br#"{"src":"api","ts":1697821234567,"type":"event","data":{"level":"info","msg":"up"}}"#;
/// let Ok(Line::Data(record)) = Line::read(line) else { panic!("a data line") };
/// assert_eq!((&*record.source, &*record.kind), ("api", "event"));
/// assert_eq!(record.data().level.as_deref(), Some("info"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    /// `src`: the program that speaks; never empty.
    pub source: Cow<'a, str>,
    /// `ts`: milliseconds since 1970, as the sender's clock has them.
    pub time: f64,
    /// `type`: `event`, `metric`, `progress`, `resource`, `span`, or one that nobody here knows.
    pub kind: Cow<'a, str>,
    /// `tid`: the trace it belongs to.
    pub trace: Option<Cow<'a, str>>,
    /// `sid`: the span it belongs to, or is.
    pub span: Option<Cow<'a, str>>,
    /// `pid`: the span above.
    pub parent: Option<Cow<'a, str>>,
    data: Option<&'a str>,
}

/// A line that could be read.
#[derive(Debug, Clone, PartialEq)]
pub enum Line<'a> {
    /// It is for the backends.
    Data(Record<'a>),
    /// It is about the connection.
    Control(Control<'a>),
}

/// `hello`, `heartbeat` or `goodbye`.
#[derive(Debug, Clone, PartialEq)]
pub struct Control<'a> {
    /// Which of them.
    pub kind: ControlKind,
    /// `src`, where it is given.
    pub source: Option<Cow<'a, str>>,
    data: Option<&'a str>,
}

/// What a control line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlKind {
    /// The first line: who speaks, with which secret.
    Hello,
    /// The sender is alive.
    Heartbeat,
    /// The sender ends.
    Goodbye,
}

/// What a `hello` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Greeting {
    /// What both sides know.
    pub secret: Option<String>,
    /// The sender wants to be told what arrived.
    pub ack: bool,
}

/// Why a line is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wrong {
    /// It has more than [`LONGEST_LINE`] bytes.
    TooLong,
    /// It is not one JSON object in UTF-8.
    NotJson,
    /// `src` is missing, empty or not a string.
    MissingSource,
    /// `ts` is missing or not a number.
    MissingTime,
    /// `type` is missing, empty or not a string.
    MissingType,
}

/// What routing may look at in `data`; what is not there, or of another kind, is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data<'a> {
    /// Of an event.
    pub level: Option<Cow<'a, str>>,
    /// Of a metric or a span.
    pub name: Option<Cow<'a, str>>,
    /// Of an event: an object.
    pub context: Option<&'a str>,
    /// Of a metric or a span: an object.
    pub tags: Option<&'a str>,
}

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// As it should be.
    Info,
    /// Odd.
    Warn,
    /// Something failed.
    Error,
    /// All failed.
    Fatal,
}

impl<'a> Line<'a> {
    /// Reads a line without its end.
    ///
    /// # Errors
    /// The first reason of [`Wrong`], in the order in which they stand there.
    pub fn read(line: &'a [u8]) -> Result<Self, Wrong> {
        if line.len() > LONGEST_LINE {
            return Err(Wrong::TooLong);
        }
        let text = std::str::from_utf8(line).map_err(|_| Wrong::NotJson)?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let fields = (&mut deserializer).deserialize_map(Fields::default());
        let Fields {
            source,
            time,
            kind,
            trace,
            span,
            parent,
            data,
        } = fields.map_err(|_| Wrong::NotJson)?;
        deserializer.end().map_err(|_| Wrong::NotJson)?;
        if let Some(kind) = kind.as_deref().and_then(ControlKind::named) {
            return Ok(Self::Control(Control { kind, source, data }));
        }
        Ok(Self::Data(Record {
            source: source.ok_or(Wrong::MissingSource)?,
            time: time.ok_or(Wrong::MissingTime)?,
            kind: kind.ok_or(Wrong::MissingType)?,
            trace,
            span,
            parent,
            data,
        }))
    }
}

impl<'a> Record<'a> {
    /// `data`, as it was written.
    pub fn raw_data(&self) -> Option<&'a str> {
        self.data
    }

    /// Looks into `data`.
    pub fn data(&self) -> Data<'a> {
        self.data
            .and_then(|text| {
                serde_json::Deserializer::from_str(text)
                    .deserialize_map(Data::default())
                    .ok()
            })
            .unwrap_or_default()
    }
}

impl Control<'_> {
    /// What a `hello` asks for; nothing where its data says something else.
    pub fn greeting(&self) -> Greeting {
        self.data
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }
}

impl ControlKind {
    fn named(name: &str) -> Option<Self> {
        match name {
            "hello" => Some(Self::Hello),
            "heartbeat" => Some(Self::Heartbeat),
            "goodbye" => Some(Self::Goodbye),
            _ => None,
        }
    }
}

impl Wrong {
    /// Its name in `sidecar_messages_dropped_total`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotJson => "not_json",
            Self::MissingSource => "missing_src",
            Self::MissingTime => "missing_ts",
            Self::MissingType => "missing_type",
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the line has more than 65,536 bytes",
            Self::NotJson => "the line is not one JSON object in UTF-8",
            Self::MissingSource => "`src` is missing, empty or not a string",
            Self::MissingTime => "`ts` is missing or not a number",
            Self::MissingType => "`type` is missing, empty or not a string",
        })
    }
}

impl std::error::Error for Wrong {}

impl Level {
    /// The level of this name, in any case; `warning` and `critical` are understood.
    pub fn named(name: &str) -> Option<Self> {
        const NAMES: [(&str, Level); 7] = [
            ("debug", Level::Debug),
            ("info", Level::Info),
            ("warn", Level::Warn),
            ("warning", Level::Warn),
            ("error", Level::Error),
            ("fatal", Level::Fatal),
            ("critical", Level::Fatal),
        ];
        let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, level)| *level)
    }
}

/// The members of a line; of those that stand twice the last one counts.
#[derive(Default)]
struct Fields<'a> {
    source: Option<Cow<'a, str>>,
    time: Option<f64>,
    kind: Option<Cow<'a, str>>,
    trace: Option<Cow<'a, str>>,
    span: Option<Cow<'a, str>>,
    parent: Option<Cow<'a, str>>,
    data: Option<&'a str>,
}

impl<'de> Visitor<'de> for Fields<'de> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a signal line")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            match &*key {
                "src" => self.source = map.next_value_seed(Loose)?.text(),
                "type" => self.kind = map.next_value_seed(Loose)?.text(),
                "tid" => self.trace = map.next_value_seed(Loose)?.text(),
                "sid" => self.span = map.next_value_seed(Loose)?.text(),
                "pid" => self.parent = map.next_value_seed(Loose)?.text(),
                "ts" => self.time = map.next_value_seed(Loose)?.number(),
                "data" => self.data = Some(map.next_value::<&RawValue>()?.get()),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(self)
    }
}

impl<'de> Visitor<'de> for Data<'de> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data of a line")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            match &*key {
                "level" => self.level = map.next_value_seed(Loose)?.text(),
                "name" => self.name = map.next_value_seed(Loose)?.text(),
                "ctx" => self.context = Some(map.next_value::<&RawValue>()?.get()),
                "tags" => self.tags = Some(map.next_value::<&RawValue>()?.get()),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrong(line: &str) -> Option<Wrong> {
        Line::read(line.as_bytes()).err()
    }

    fn record(line: &str) -> Record<'_> {
        match Line::read(line.as_bytes()) {
            Ok(Line::Data(record)) => record,
            other => panic!("no data line: {other:?}"),
        }
    }

    #[test]
    fn every_wrong_line_has_its_reason() {
        assert_eq!(wrong(r#"{"src":"a","ts":1,"type":"event"}"#), None);
        let cases = [
            ("", Wrong::NotJson),
            ("[]", Wrong::NotJson),
            ("1", Wrong::NotJson),
            (r#"{"src":"a","ts":1,"type":"event"} {}"#, Wrong::NotJson),
            (r#"{"src":"a","ts":1,"type":"event""#, Wrong::NotJson),
            (r#"{"src":"a","ts":1,"type":"event","data":{]}"#, Wrong::NotJson),
            ("{}", Wrong::MissingSource),
            (r#"{"src":"","ts":1,"type":"event"}"#, Wrong::MissingSource),
            (r#"{"src":{"a":[1]},"ts":1,"type":"event"}"#, Wrong::MissingSource),
            (r#"{"src":"a","type":"event"}"#, Wrong::MissingTime),
            (r#"{"src":"a","ts":"1","type":"event"}"#, Wrong::MissingTime),
            (r#"{"src":"a","ts":1}"#, Wrong::MissingType),
            (r#"{"src":"a","ts":1,"type":7}"#, Wrong::MissingType),
        ];
        for (line, reason) in cases {
            assert_eq!(wrong(line), Some(reason), "{line}");
        }
        assert_eq!(
            Line::read(b"{\"src\":\"\xff\",\"ts\":1,\"type\":\"e\"}"),
            Err(Wrong::NotJson)
        );
    }

    #[test]
    fn what_is_unknown_is_passed_over_and_the_last_of_two_counts() {
        let record = record(r#"{"x":{"src":"no"},"src":"a","src":"b\u0062","ts":1.5,"type":"new","tid":"","pid":"p"}"#);
        assert_eq!((&*record.source, record.time, &*record.kind), ("bb", 1.5, "new"));
        assert_eq!((record.trace, record.parent.as_deref()), (None, Some("p")));
    }

    #[test]
    fn data_is_looked_into_and_left_as_it_is() {
        let line = r#"{"src":"a","ts":1,"type":"event","data": {"level":"warn", "ctx":{"a" : 1},"name":3} }"#;
        let record = record(line);
        assert_eq!(record.raw_data(), Some(r#"{"level":"warn", "ctx":{"a" : 1},"name":3}"#));
        let data = record.data();
        assert_eq!(
            (data.level.as_deref(), data.name, data.context),
            (Some("warn"), None, Some(r#"{"a" : 1}"#))
        );
    }

    #[test]
    fn control_lines_need_only_a_type() {
        let Ok(Line::Control(hello)) = Line::read(br#"{"type":"hello","data":{"secret":"s","ack":true,"x":1}}"#) else {
            panic!("a hello");
        };
        assert_eq!(hello.kind, ControlKind::Hello);
        let greeting = Greeting {
            secret: Some("s".into()),
            ack: true,
        };
        assert_eq!(hello.greeting(), greeting);
        assert!(matches!(Line::read(br#"{"type":"goodbye"}"#), Ok(Line::Control(_))));
    }

    #[test]
    fn levels_are_in_order() {
        let levels = ["debug", "INFO", "warning", "Error", "fatal"].map(|name| Level::named(name).unwrap());
        assert!(levels.is_sorted());
        assert_eq!(Level::named("loud"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_line_or_have_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Line::read(&bytes);
        }

        #[test]
        fn what_is_written_is_read(source in "\\PC{1,20}", kind in "[a-g]{1,8}", time in 0_u64..1 << 50) {
            let line = serde_json::json!({ "src": source, "ts": time, "type": kind, "data": { "a": 1 } }).to_string();
            let record = record(&line);
            prop_assert_eq!(&*record.source, source.as_str());
            prop_assert_eq!(&*record.kind, kind.as_str());
            prop_assert_eq!(record.raw_data(), Some(r#"{"a":1}"#));
        }
    }
}
