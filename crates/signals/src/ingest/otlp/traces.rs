//! Spans as `span` lines. Pure.

use std::{borrow::Cow, iter};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{
        Span,
        span::{Event, Link, SpanKind},
        status::StatusCode,
    },
};
use serde_json::{Map, Number, Value};

use super::origin::{Each, Origin, add, attributes, id, scope, time};
use crate::ingest::Draft;

/// Gives each span's line to `each`; `now` is the time of spans that have none.
pub(super) fn lines(request: ExportTraceServiceRequest, now: &Number, each: Each<'_>) {
    for resource in request.resource_spans {
        let origin = Origin::new(resource.resource);
        for scoped in resource.scope_spans {
            let scope = scope(scoped.scope);
            for span in scoped.spans {
                match line(&origin.source, span, now) {
                    Err(why) => each(Err(why)),
                    Ok(line) => each(Ok(&mut iter::once(Draft {
                        resource: Cow::Borrowed(&origin.resource),
                        scope: &scope,
                        ..line
                    }))),
                }
            }
        }
    }
}

fn line<'a>(source: &'a str, span: Span, now: &Number) -> Result<Draft<'a>, &'static str> {
    let trace = id::<16>(&span.trace_id).ok_or("a span has no trace id of 16 bytes")?;
    let own = id::<8>(&span.span_id).ok_or("a span has no id of 8 bytes")?;
    let mut data = Map::new();
    data.insert("name".to_owned(), span.name.into());
    let (start, end) = (time(span.start_time_unix_nano), time(span.end_time_unix_nano));
    let said = end.clone().or_else(|| start.clone());
    for (key, time) in [("start", start), ("end", end)] {
        if let Some(time) = time {
            data.insert(key.to_owned(), time.into());
        }
    }
    if let Some(status) = span.status {
        let name = match StatusCode::try_from(status.code) {
            Ok(StatusCode::Ok) => "ok",
            Ok(StatusCode::Error) => "error",
            Ok(StatusCode::Unset) | Err(_) => "",
        };
        add(&mut data, "status", name.to_owned());
        add(&mut data, "message", status.message);
    }
    add(&mut data, "kind", kind(span.kind).to_owned());
    add(&mut data, "state", span.trace_state);
    let tags = attributes(span.attributes);
    if !tags.is_empty() {
        data.insert("tags".to_owned(), tags.into());
    }
    list(&mut data, "events", span.events.into_iter().map(event));
    list(&mut data, "links", span.links.into_iter().map(link));
    let mut draft = Draft::new(source, said.unwrap_or_else(|| now.clone()), "span", data);
    draft.trace = Some(trace);
    draft.span = Some(own);
    draft.parent = id::<8>(&span.parent_span_id);
    Ok(draft)
}

fn event(event: Event) -> Value {
    let mut own = Map::new();
    own.insert("name".to_owned(), event.name.into());
    if let Some(time) = time(event.time_unix_nano) {
        own.insert("ts".to_owned(), time.into());
    }
    own.insert("tags".to_owned(), attributes(event.attributes).into());
    own.into()
}

fn link(link: Link) -> Value {
    let mut own = Map::new();
    add(&mut own, "tid", id::<16>(&link.trace_id).unwrap_or_default());
    add(&mut own, "sid", id::<8>(&link.span_id).unwrap_or_default());
    own.insert("tags".to_owned(), attributes(link.attributes).into());
    own.into()
}

fn list(data: &mut Map<String, Value>, key: &str, all: impl Iterator<Item = Value>) {
    let all: Vec<Value> = all.collect();
    if !all.is_empty() {
        data.insert(key.to_owned(), all.into());
    }
}

fn kind(kind: i32) -> &'static str {
    match SpanKind::try_from(kind) {
        Ok(SpanKind::Internal) => "internal",
        Ok(SpanKind::Server) => "server",
        Ok(SpanKind::Client) => "client",
        Ok(SpanKind::Producer) => "producer",
        Ok(SpanKind::Consumer) => "consumer",
        Ok(SpanKind::Unspecified) | Err(_) => "",
    }
}
