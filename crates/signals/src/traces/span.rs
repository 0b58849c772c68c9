//! A span as it is kept, and one line of it.

use std::sync::Arc;

use wire::signal::{Record, SpanData};

/// What is known of a span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    pub(crate) id: Arc<str>,
    pub(crate) parent: Option<Arc<str>>,
    pub(crate) source: Arc<str>,
    pub(crate) name: Option<Arc<str>>,
    /// Milliseconds since 1970, as the sender's clock has them.
    pub(crate) start: Option<f64>,
    pub(crate) end: Option<f64>,
    pub(crate) status: Option<Arc<str>>,
    /// An object that is not empty, as it was written.
    pub(crate) tags: Option<Arc<str>>,
}

/// What one line says of a span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SpanLine {
    pub(crate) trace: Arc<str>,
    pub(crate) span: Span,
}

impl SpanLine {
    /// Reads a line; `None` where it is about no span, or does not say which. `source` is its own.
    pub(crate) fn of(record: &Record<'_>, source: &Arc<str>) -> Option<Self> {
        if record.kind != "span" {
            return None;
        }
        let (trace, id) = (record.trace.as_deref()?, record.span.as_deref()?);
        let SpanData {
            name,
            start,
            end,
            status,
            tags,
        } = SpanData::of(record);
        Some(Self {
            trace: trace.into(),
            span: Span {
                id: id.into(),
                parent: record.parent.as_deref().map(Arc::from),
                source: Arc::clone(source),
                name: name.as_deref().map(Arc::from),
                start,
                end,
                status: status.as_deref().map(Arc::from),
                tags: tags.map(Arc::from),
            },
        })
    }
}

impl Span {
    /// Takes in what a later line says: each field of it that is there wins.
    pub(crate) fn merge(&mut self, later: Self) {
        fn win<T>(field: &mut Option<T>, later: Option<T>) {
            if later.is_some() {
                *field = later;
            }
        }
        win(&mut self.parent, later.parent);
        self.source = later.source;
        win(&mut self.name, later.name);
        win(&mut self.start, later.start);
        win(&mut self.end, later.end);
        win(&mut self.status, later.status);
        win(&mut self.tags, later.tags);
    }

    /// What its texts take in memory.
    pub(super) fn text_size(&self) -> usize {
        let size = |text: &Arc<str>| text.len() + ALLOCATION;
        let others = [&self.parent, &self.name, &self.status, &self.tags];
        size(&self.id) + size(&self.source) + others.into_iter().flatten().map(size).sum::<usize>()
    }
}

/// What an allocation takes beside its bytes: two counts, and what the allocator keeps of it.
pub(super) const ALLOCATION: usize = 32;

#[cfg(test)]
pub(crate) mod testing {
    use wire::signal::Line;

    use super::*;

    /// Reads a line that is about a span.
    pub(crate) fn line(text: &str) -> SpanLine {
        let Ok(Line::Data(record)) = Line::read(text.as_bytes()) else {
            panic!("no data line: {text}");
        };
        SpanLine::of(&record, &Arc::from(&*record.source)).expect("a span")
    }

    /// A span of nothing but its place in the tree.
    pub(crate) fn span(id: &str, parent: Option<&str>, start: Option<f64>) -> Span {
        Span {
            id: id.into(),
            parent: parent.map(Arc::from),
            source: "test".into(),
            name: None,
            start,
            end: None,
            status: None,
            tags: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::signal::Line;

    use super::{testing::line, *};

    #[test]
    fn a_later_line_wins_where_it_says_something() {
        let mut span = line(
            r#"{"src":"a","ts":1,"type":"span","tid":"t","sid":"s","pid":"p","data":{"name":"load","start":5,"status":"running","tags":{"n":1}}}"#,
        )
        .span;
        let later = line(
            r#"{"src":"b","ts":2,"type":"span","tid":"t","sid":"s","pid":"","data":{"name":"","end":9.5,"status":"ok","tags":{}}}"#,
        );
        span.merge(later.span);
        let wanted = Span {
            id: "s".into(),
            parent: Some("p".into()),
            source: "b".into(),
            name: Some("load".into()),
            start: Some(5.0),
            end: Some(9.5),
            status: Some("ok".into()),
            tags: Some(r#"{"n":1}"#.into()),
        };
        assert_eq!(span, wanted);
    }

    #[test]
    fn a_line_without_both_ids_is_of_no_span() {
        for text in [
            r#"{"src":"a","ts":1,"type":"span","sid":"s"}"#,
            r#"{"src":"a","ts":1,"type":"span","tid":"t","sid":""}"#,
            r#"{"src":"a","ts":1,"type":"event","tid":"t","sid":"s"}"#,
        ] {
            let Ok(Line::Data(record)) = Line::read(text.as_bytes()) else {
                panic!("no data line: {text}");
            };
            assert_eq!(SpanLine::of(&record, &"a".into()), None, "{text}");
        }
    }
}
