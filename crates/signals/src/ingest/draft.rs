//! A line that is made here, of a message in another form.
//!
//! Pure. What is made is read again like a line that came (`Inlet`), so that nothing reaches a backend that a sender could
//! not have written.

use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Number, Value};

/// A line in the making.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draft<'a> {
    /// Not empty.
    pub(crate) source: Cow<'a, str>,
    pub(crate) time: Number,
    pub(crate) kind: &'static str,
    pub(crate) trace: Option<String>,
    pub(crate) span: Option<String>,
    pub(crate) parent: Option<String>,
    pub(crate) data: Map<String, Value>,
    /// More of `data`, which many lines share: where they come from. Left out where it is empty.
    pub(crate) resource: Cow<'a, Map<String, Value>>,
    /// More of `data`: the library that speaks. Left out where it is empty.
    pub(crate) scope: &'a str,
}

impl<'a> Draft<'a> {
    /// A line of a source; `data` is its own.
    pub(crate) fn new(source: &'a str, time: Number, kind: &'static str, data: Map<String, Value>) -> Self {
        Self {
            source: Cow::Borrowed(source),
            time,
            kind,
            trace: None,
            span: None,
            parent: None,
            data,
            resource: Cow::Owned(Map::new()),
            scope: "",
        }
    }

    /// Writes it as one line, without its end.
    pub(crate) fn write(&self, line: &mut Vec<u8>) {
        serde_json::to_writer(line, self).expect("maps with texts as keys go into memory");
    }
}

impl Serialize for Draft<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("v", &1)?;
        line.serialize_entry("src", &self.source)?;
        line.serialize_entry("ts", &self.time)?;
        line.serialize_entry("type", self.kind)?;
        let ids = [("tid", &self.trace), ("sid", &self.span), ("pid", &self.parent)];
        for (key, id) in ids {
            if let Some(id) = id {
                line.serialize_entry(key, id)?;
            }
        }
        line.serialize_entry("data", &Data(self))?;
        line.end()
    }
}

struct Data<'a>(&'a Draft<'a>);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = serializer.serialize_map(None)?;
        for (key, value) in &self.0.data {
            data.serialize_entry(key, value)?;
        }
        if !self.0.resource.is_empty() {
            data.serialize_entry("resource", &*self.0.resource)?;
        }
        if !self.0.scope.is_empty() {
            data.serialize_entry("scope", self.0.scope)?;
        }
        data.end()
    }
}

/// A time in milliseconds, whole where it can be.
pub(crate) fn millis(microseconds: i64) -> Number {
    if microseconds % 1000 == 0 {
        return (microseconds / 1000).into();
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "times of this age have microseconds to spare below 2^53"
    )]
    let fraction = microseconds as f64 / 1000.0;
    Number::from_f64(fraction).expect("it is finite")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::signal::Line;

    use super::*;

    #[test]
    fn a_draft_becomes_a_line() {
        let mut draft = Draft::new("api", millis(1_697_821_234_567_120), "event", Map::new());
        draft.trace = Some("t".into());
        draft.data.insert("msg".into(), "a\nb".into());
        draft.resource.to_mut().insert("host".into(), "h".into());
        draft.scope = "lib";
        let mut line = Vec::new();
        draft.write(&mut line);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            r#"{"v":1,"src":"api","ts":1697821234567.12,"type":"event","tid":"t","data":{"msg":"a\nb","resource":{"host":"h"},"scope":"lib"}}"#
        );
    }

    proptest! {
        #[test]
        fn every_draft_is_one_line_that_reads_back(
            source in "\\PC{1,20}", text in any::<String>(), time in 0_i64..1 << 52,
        ) {
            let data = Map::from_iter([("msg".to_owned(), Value::from(text.clone()))]);
            let mut line = Vec::new();
            Draft::new(&source, millis(time), "event", data).write(&mut line);
            prop_assert!(!line.contains(&b'\n'));
            let Ok(Line::Data(record)) = Line::read(&line) else { panic!("no line") };
            prop_assert_eq!(&*record.source, source.as_str());
            let data: Value = serde_json::from_str(record.raw_data().unwrap()).unwrap();
            prop_assert_eq!(data["msg"].as_str(), Some(text.as_str()));
        }
    }
}
