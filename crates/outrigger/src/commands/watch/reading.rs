//! Reads the tree of a trace, however deep it is.
//!
//! A deserializer that calls itself for each child refuses a deep one, or ends the process; so only the fields of a span
//! are read by one, and the way through the lists is a loop.

use serde::Deserialize;
use serde_json::value::RawValue;

/// A trace, its spans in the order in which they are drawn.
#[derive(Debug, Default)]
pub struct Trace {
    pub id: String,
    pub rows: Vec<Row>,
}

/// A span.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Row {
    /// How many stand above it.
    pub depth: usize,
    /// Whether no other child of its parent stands below it.
    pub is_last: bool,
    pub source: String,
    pub name: String,
    /// Milliseconds since 1970.
    pub start: Option<f64>,
    pub end: Option<f64>,
    pub status: String,
    /// A cycle was cut here.
    pub cycle: bool,
}

impl Trace {
    /// Reads what `GET /traces/{id}` says.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        let mut scan = Scan { text, at: 0 };
        let mut trace = Self::default();
        // Spans whose children are being read.
        let mut open: Vec<usize> = Vec::new();
        scan.expect(b'{')?;
        loop {
            // In an object: its members up to its end, or up to its list.
            let is_list = loop {
                match scan.look() {
                    Some(b'}') => break false,
                    Some(b',') => scan.at += 1,
                    _ => {
                        let key: String = scan.value()?;
                        scan.expect(b':')?;
                        if key == "roots" || key == "children" {
                            break true;
                        }
                        let value: &RawValue = scan.value()?;
                        match open.last() {
                            Some(row) => trace.rows[*row].set(&key, value),
                            None if key == "trace_id" => trace.id = of(value).unwrap_or_default(),
                            None => {}
                        }
                    }
                }
            };
            scan.expect(if is_list { b'[' } else { b'}' })?;
            if !is_list && open.pop().is_none() {
                trace.mark_last();
                return Ok(trace);
            }
            // In a list: its next span, or its end, after which the object goes on that it is in.
            while scan.look() == Some(b',') {
                scan.at += 1;
            }
            if scan.look() == Some(b']') {
                scan.at += 1;
            } else {
                scan.expect(b'{')?;
                let depth = open.len();
                open.push(trace.rows.len());
                trace.rows.push(Row {
                    depth,
                    ..Row::default()
                });
            }
        }
    }

    fn mark_last(&mut self) {
        // For each depth, whether a span below has the same parent.
        let mut below: Vec<bool> = Vec::new();
        for row in self.rows.iter_mut().rev() {
            below.resize(row.depth + 1, false);
            row.is_last = !below[row.depth];
            below[row.depth] = true;
        }
    }
}

impl Row {
    fn set(&mut self, key: &str, value: &RawValue) {
        match key {
            "source" => self.source = of(value).unwrap_or_default(),
            "name" => self.name = of(value).unwrap_or_default(),
            "status" => self.status = of(value).unwrap_or_default(),
            "start" => self.start = of(value),
            "end" => self.end = of(value),
            "cycle" => self.cycle = of(value).unwrap_or_default(),
            _ => {}
        }
    }
}

/// What is of another kind, or null, is as good as absent.
fn of<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

/// A place in a JSON text.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// The next byte that is no white space; it stays.
    fn look(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let white = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.at += white;
        rest.get(white).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), serde_json::Error> {
        if self.look() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(serde::de::Error::custom(format!(
            "`{}` is missing at byte {}",
            char::from(byte),
            self.at
        )))
    }

    /// The next value, whatever follows it.
    fn value<T: Deserialize<'a>>(&mut self) -> Result<T, serde_json::Error> {
        let mut values = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter::<T>();
        let value = values.next();
        self.at += values.byte_offset();
        value.unwrap_or_else(|| Err(serde::de::Error::custom("the text ends too early")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape(trace: &Trace) -> String {
        let row = |row: &Row| format!("{}{}{}", row.depth, row.name, if row.is_last { "." } else { "" });
        trace.rows.iter().map(row).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn spans_are_read_in_the_order_in_which_they_are_drawn() {
        let text = json!({ "trace_id": "t\"", "spans": 5, "roots": [
            { "name": "a", "source": "s", "start": 1, "end": 2.5, "status": "ok", "tags": { "children": [1, {}] }, "cycle": true,
              "children": [{ "name": "b", "children": [{ "name": "c", "children": [] }] }, { "name": "d", "start": null, "children": [] }] },
            { "children": [], "name": "e" },
        ] });
        for text in [text.to_string(), serde_json::to_string_pretty(&text).unwrap()] {
            let trace = Trace::read(&text).unwrap();
            assert_eq!(trace.id, "t\"");
            assert_eq!(shape(&trace), "0a 1b 2c. 1d. 0e.");
            let wanted = Row {
                source: "s".into(),
                name: "a".into(),
                start: Some(1.0),
                end: Some(2.5),
                status: "ok".into(),
                cycle: true,
                ..Row::default()
            };
            assert_eq!(trace.rows[0], wanted);
        }
    }

    #[test]
    fn what_breaks_off_or_is_something_else_is_no_trace() {
        let text = r#"{"trace_id":"t","roots":[{"name":"a","children":[{"name":"b","children":[]}]}]}"#;
        assert!(Trace::read(text).is_ok());
        for end in 0..text.len() {
            assert!(Trace::read(&text[..end]).is_err(), "{}", &text[..end]);
        }
        for text in ["[]", "1", "hello", r#"{"roots":{}}"#, r#"{"roots":[1]}"#] {
            assert!(Trace::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_deep_trace_is_read() {
        const DEEP: usize = 10_000;
        let text = format!(
            r#"{{"trace_id":"t","roots":[{}{}]}}"#,
            r#"{"name":"x","children":["#.repeat(DEEP),
            "]}".repeat(DEEP)
        );
        let trace = Trace::read(&text).unwrap();
        assert_eq!(trace.rows.len(), DEEP);
        assert_eq!(trace.rows[DEEP - 1].depth, DEEP - 1);
    }
}
