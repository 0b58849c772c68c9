//! Writes a tree as the admin address shows it.
//!
//! A loop with a stack of its own: a serializer that calls itself for each child would end the process on a deep trace.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Tree, tree::Node};

/// Writes `{trace_id, spans, roots: [..]}`.
///
/// # Errors
/// A span does not become JSON; with the spans that are kept that does not happen.
pub(crate) fn write(trace: &str, tree: &Tree) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(tree.nodes.len() * TYPICAL);
    text.extend_from_slice(b"{\"trace_id\":");
    serde_json::to_writer(&mut text, trace)?;
    text.extend_from_slice(format!(",\"spans\":{},\"roots\":[", tree.nodes.len()).as_bytes());
    // Lists that are being written, each with what is left of it.
    let mut lists = vec![tree.roots.iter()];
    let mut is_first = true;
    while let Some(list) = lists.last_mut() {
        if let Some(index) = list.next() {
            if !is_first {
                text.push(b',');
            }
            let node = &tree.nodes[*index];
            serde_json::to_writer(&mut text, &Fields::of(node)?)?;
            // The object stays open for its children.
            text.pop();
            text.extend_from_slice(b",\"children\":[");
            lists.push(node.children.iter());
            is_first = true;
        } else {
            lists.pop();
            text.extend_from_slice(b"]}");
            is_first = false;
        }
    }
    Ok(text)
}

/// All of a span but its children.
#[derive(Debug, Serialize)]
struct Fields<'a> {
    span_id: &'a str,
    parent_span_id: Option<&'a str>,
    source: &'a str,
    name: Option<&'a str>,
    start: Option<Millis>,
    end: Option<Millis>,
    duration_ms: Option<Millis>,
    status: Option<&'a str>,
    tags: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cycle: bool,
}

impl<'a> Fields<'a> {
    fn of(node: &'a Node) -> serde_json::Result<Self> {
        let span = &node.span;
        let duration = span.end.zip(span.start).map(|(end, start)| end - start);
        Ok(Self {
            span_id: &span.id,
            parent_span_id: span.parent.as_deref(),
            source: &span.source,
            name: span.name.as_deref(),
            start: span.start.map(Millis::of),
            end: span.end.map(Millis::of),
            duration_ms: duration.map(Millis::of),
            status: span.status.as_deref(),
            tags: span.tags.as_deref().map(serde_json::from_str).transpose()?,
            cycle: node.is_cut,
        })
    }
}

/// A number of milliseconds: a whole one has no decimals.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Millis {
    Whole(i64),
    Broken(f64),
}

impl Millis {
    fn of(millis: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        if millis.fract() == 0.0 && millis.abs() < WHOLE {
            Self::Whole(millis as i64)
        } else {
            // Times as a clock has them are exact to far below a microsecond; what stands after that is rounding.
            Self::Broken((millis * 1e4).round() / 1e4)
        }
    }
}

/// Above this a number does not hold every whole one: 2^53.
const WHOLE: f64 = 9_007_199_254_740_992.0;
/// What a span takes as JSON, about.
const TYPICAL: usize = 256;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::{Value, json};

    use super::{
        super::{
            Span,
            span::testing::{line, span},
        },
        *,
    };

    #[test]
    fn a_trace_is_shown_with_all_fields() {
        let mut root = line(
            r#"{"src":"api","ts":1,"type":"span","tid":"t","sid":"a","data":{"name":"request \"x\"","start":1000,"end":1250.5,"status":"ok","tags":{"n": [1, null]}}}"#,
        )
        .span;
        root.merge(line(r#"{"src":"api","ts":2,"type":"span","tid":"t","sid":"a"}"#).span);
        let child = line(r#"{"src":"db","ts":3,"type":"span","tid":"t","sid":"b","pid":"a"}"#).span;
        let text = write("t", &Tree::new(vec![child, root])).unwrap();
        let shown: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            shown,
            json!({ "trace_id": "t", "spans": 2, "roots": [{
                "span_id": "a", "parent_span_id": null, "source": "api", "name": "request \"x\"", "start": 1000,
                "end": 1250.5, "duration_ms": 250.5, "status": "ok", "tags": { "n": [1, null] }, "children": [{
                    "span_id": "b", "parent_span_id": "a", "source": "db", "name": null, "start": null, "end": null,
                    "duration_ms": null, "status": null, "tags": null, "children": [],
                }],
            }] })
        );
    }

    #[test]
    fn where_a_cycle_was_cut_it_is_said_and_nowhere_else() {
        let spans = vec![
            span("a", Some("b"), Some(2.0)),
            span("b", Some("a"), Some(1.0)),
            span("c", None, None),
        ];
        let shown: Value = serde_json::from_slice(&write("t", &Tree::new(spans)).unwrap()).unwrap();
        let roots = &shown["roots"];
        assert_eq!((&roots[0]["span_id"], &roots[0]["cycle"]), (&json!("b"), &json!(true)));
        assert_eq!(roots[0]["parent_span_id"], "a");
        assert!(roots[0]["children"][0].get("cycle").is_none());
        assert!(roots[1].get("cycle").is_none());
    }

    #[test]
    fn a_deep_trace_takes_no_more_than_its_length() {
        const DEEP: usize = 10_000;
        let chain = |spans: usize| {
            let parent = |number: usize| number.checked_sub(1).map(|above| above.to_string());
            let spans = (0..spans).map(|number| span(&number.to_string(), parent(number).as_deref(), None));
            spans.collect::<Vec<_>>()
        };
        let took = |spans: Vec<Span>| {
            let began = Instant::now();
            let text = write("t", &Tree::new(spans)).unwrap();
            (text, began.elapsed())
        };
        let (text, _) = took(chain(DEEP));
        let opened = memchr::memmem::find_iter(&text, b"\"children\":[{").count();
        assert_eq!(opened, DEEP - 1);
        assert!(text.ends_with("]}".repeat(DEEP + 1).as_bytes()));
        // Ten times as deep would be a hundred times as long if it were quadratic, at least a minute.
        let (_, long) = took(chain(10 * DEEP));
        assert!(long < Duration::from_secs(20), "{long:?}");
    }
}
