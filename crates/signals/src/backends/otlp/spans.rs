//! Spans whose end has not come yet.
//!
//! The one rule: what is kept is bounded, in spans and in bytes; the oldest makes room. The lines of a span are merged as
//! everywhere: the later one wins in each field, and what is empty keeps what was there.

use std::collections::{BTreeMap, HashMap};

use opentelemetry_proto::tonic::trace::v1::{Span, Status, span, status};
use serde_json::{Map, Value};

use super::{
    ids,
    value::{attributes, text},
};

/// Which span.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) trace: String,
    pub(super) span: String,
}

/// What one line, or several, say of a span.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Part {
    pub(super) name: Option<String>,
    pub(super) start: Option<u64>,
    pub(super) end: Option<u64>,
    pub(super) status: Option<String>,
    pub(super) parent: Option<String>,
    pub(super) tags: Map<String, Value>,
}

/// Keeps the spans that are open.
#[derive(Debug)]
pub(super) struct OpenSpans {
    most: usize,
    spans: HashMap<Key, Kept>,
    /// By the order in which they were begun.
    ages: BTreeMap<u64, Key>,
    next: u64,
    bytes: usize,
    forgotten: usize,
}

#[derive(Debug)]
struct Kept {
    age: u64,
    part: Part,
    bytes: usize,
}

/// What all of them take in memory, about.
const MOST_BYTES: usize = 4 << 20;

impl OpenSpans {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            spans: HashMap::new(),
            ages: BTreeMap::new(),
            next: 0,
            bytes: 0,
            forgotten: 0,
        }
    }

    /// A span as all its lines have it, this one the last.
    pub(super) fn merged(&self, key: &Key, part: Part) -> Part {
        match self.spans.get(key) {
            Some(kept) => kept.part.clone().merge(part),
            None => part,
        }
    }

    /// Keeps a span until its end comes. Keeping the same twice changes nothing.
    pub(super) fn keep(&mut self, key: Key, part: Part) {
        let age = self.remove(&key).map_or(self.next, |kept| kept.age);
        self.next = self.next.max(age + 1);
        let bytes = part.size() + 2 * (key.trace.len() + key.span.len() + size_of::<Kept>());
        self.bytes += bytes;
        self.ages.insert(age, key.clone());
        self.spans.insert(key, Kept { age, part, bytes });
        while self.spans.len() > self.most || self.bytes > MOST_BYTES {
            let Some((_, oldest)) = self.ages.pop_first() else {
                break;
            };
            self.remove(&oldest);
            self.forgotten += 1;
        }
    }

    /// The span has been sent.
    pub(super) fn sent(&mut self, key: &Key) {
        self.remove(key);
    }

    /// Spans that are open, and those that were forgotten for want of room.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.spans.len(), self.forgotten)
    }

    fn remove(&mut self, key: &Key) -> Option<Kept> {
        let kept = self.spans.remove(key)?;
        self.ages.remove(&kept.age);
        self.bytes -= kept.bytes;
        Some(kept)
    }
}

impl Part {
    fn merge(self, later: Self) -> Self {
        Self {
            name: later.name.or(self.name),
            start: later.start.or(self.start),
            end: later.end.or(self.end),
            status: later.status.or(self.status),
            parent: later.parent.or(self.parent),
            tags: if later.tags.is_empty() { self.tags } else { later.tags },
        }
    }

    /// The message, where the span has ended.
    pub(super) fn finished(&self, key: &Key) -> Option<Span> {
        let end = self.end?;
        let mut attributes: Vec<_> = attributes(self.tags.clone()).collect();
        let status = self.status.as_deref().map(|said| {
            let code = code(said);
            if code == status::StatusCode::Unset {
                attributes.push(text("signal.status", said));
            }
            let is_plain = ["ok", "error"].iter().any(|plain| said.eq_ignore_ascii_case(plain));
            Status {
                code: code.into(),
                message: if code == status::StatusCode::Error && !is_plain {
                    said.to_owned()
                } else {
                    String::new()
                },
            }
        });
        let trace_id = ids::trace(&key.trace, &mut attributes);
        let span_id = ids::span(&key.span, "signal.span_id", &mut attributes);
        let parent = self.parent.as_deref();
        let parent_span_id = parent.map(|id| ids::span(id, "signal.parent_id", &mut attributes));
        Some(Span {
            trace_id,
            span_id,
            parent_span_id: parent_span_id.unwrap_or_default(),
            name: self.name.clone().unwrap_or_else(|| "unnamed".to_owned()),
            kind: span::SpanKind::Internal.into(),
            // Its start line was lost: it took no time that is known of.
            start_time_unix_nano: self.start.unwrap_or(end).min(end),
            end_time_unix_nano: end,
            attributes,
            status,
            ..Span::default()
        })
    }

    fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let tags: usize = self.tags.iter().map(|(key, value)| key.len() + weight(value)).sum();
        text(&self.name) + text(&self.status) + text(&self.parent) + tags
    }
}

/// What a value takes in memory, about.
fn weight(value: &Value) -> usize {
    let below = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(weight).sum(),
        Value::Object(members) => members.iter().map(|(key, value)| key.len() + weight(value)).sum(),
        _ => 0,
    };
    below + 2 * size_of::<Value>()
}

fn code(said: &str) -> status::StatusCode {
    let is = |names: &[&str]| names.iter().any(|name| said.eq_ignore_ascii_case(name));
    if is(&["ok", "success", "succeeded", "completed"]) {
        status::StatusCode::Ok
    } else if is(&["error", "failed", "failure", "fatal", "timeout"]) {
        status::StatusCode::Error
    } else {
        status::StatusCode::Unset
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(span: &str) -> Key {
        Key {
            trace: "t".into(),
            span: span.into(),
        }
    }

    fn named(name: &str) -> Part {
        Part {
            name: Some(name.into()),
            ..Part::default()
        }
    }

    #[test]
    fn the_later_line_wins_in_each_field_and_what_is_empty_keeps() {
        let mut spans = OpenSpans::new(2);
        let tags = json!({ "a": 1 }).as_object().unwrap().clone();
        let begin = Part {
            start: Some(5),
            tags: tags.clone(),
            ..named("first")
        };
        spans.keep(key("s"), begin);
        let end = Part {
            end: Some(9),
            ..named("second")
        };
        let whole = spans.merged(&key("s"), end);
        assert_eq!(
            (whole.name.as_deref(), whole.start, whole.end),
            (Some("second"), Some(5), Some(9))
        );
        assert_eq!(whole.tags, tags);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut spans = OpenSpans::new(2);
        for name in ["a", "b", "b", "c"] {
            spans.keep(key(name), named(name));
        }
        assert_eq!(spans.counts(), (2, 1));
        assert_eq!(spans.merged(&key("a"), Part::default()), Part::default());
        spans.sent(&key("b"));
        assert_eq!((spans.counts(), spans.ages.len()), ((1, 1), 1));
    }

    #[test]
    fn long_spans_take_no_more_than_their_bytes() {
        let mut spans = OpenSpans::new(1000);
        for name in 0..200 {
            spans.keep(key(&name.to_string()), named(&"x".repeat(60_000)));
        }
        assert!(
            spans.bytes <= MOST_BYTES && spans.counts().0 > 50,
            "{:?}",
            spans.counts()
        );
    }

    #[test]
    fn a_span_without_its_start_line_still_goes() {
        let end = Part {
            end: Some(7),
            status: Some("timeout".into()),
            ..Part::default()
        };
        let span = end.finished(&key("s")).unwrap();
        assert_eq!(
            (span.start_time_unix_nano, span.end_time_unix_nano, &*span.name),
            (7, 7, "unnamed")
        );
        assert_eq!(span.status.unwrap().message, "timeout");
        assert_eq!(named("n").finished(&key("s")), None);
    }
}
