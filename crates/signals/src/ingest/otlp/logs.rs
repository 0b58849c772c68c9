//! Log records as `event` lines. Pure.

use std::{borrow::Cow, iter};

use opentelemetry_proto::tonic::{collector::logs::v1::ExportLogsServiceRequest, logs::v1::LogRecord};
use serde_json::{Map, Number, Value};
use wire::signal::Level;

use super::origin::{Each, Origin, add, attributes, id, scope, time, value};
use crate::ingest::Draft;

/// Gives each record's line to `each`; `now` is the time of records that have none.
pub(super) fn lines(request: ExportLogsServiceRequest, now: &Number, each: Each<'_>) {
    for resource in request.resource_logs {
        let origin = Origin::new(resource.resource);
        for scoped in resource.scope_logs {
            let scope = scope(scoped.scope);
            for record in scoped.log_records {
                let line = Draft {
                    resource: Cow::Borrowed(&origin.resource),
                    scope: &scope,
                    ..line(&origin.source, record, now)
                };
                each(Ok(&mut iter::once(line)));
            }
        }
    }
}

fn line<'a>(source: &'a str, record: LogRecord, now: &Number) -> Draft<'a> {
    let level = level(record.severity_number, &record.severity_text);
    let mut data = Map::from_iter([("level".to_owned(), Value::from(level))]);
    match record.body.map_or(Value::Null, value) {
        Value::String(text) => drop(data.insert("msg".to_owned(), text.into())),
        Value::Null => drop(data.insert("msg".to_owned(), record.event_name.clone().into())),
        body => {
            let text = if record.event_name.is_empty() {
                body.to_string()
            } else {
                record.event_name.clone()
            };
            data.insert("msg".to_owned(), text.into());
            data.insert("body".to_owned(), body);
        }
    }
    add(&mut data, "event", record.event_name);
    add(&mut data, "severity", record.severity_text);
    let ctx = attributes(record.attributes);
    if !ctx.is_empty() {
        data.insert("ctx".to_owned(), ctx.into());
    }
    let time = time(record.time_unix_nano).or_else(|| time(record.observed_time_unix_nano));
    let mut draft = Draft::new(source, time.unwrap_or_else(|| now.clone()), "event", data);
    draft.trace = id::<16>(&record.trace_id);
    draft.span = id::<8>(&record.span_id);
    draft
}

/// By the number, else by the name.
fn level(number: i32, name: &str) -> &'static str {
    match number {
        1..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => match Level::named(name) {
            Some(Level::Debug) => "debug",
            Some(Level::Warn) => "warn",
            Some(Level::Error) => "error",
            Some(Level::Fatal) => "fatal",
            Some(Level::Info) | None => "info",
        },
    }
}
