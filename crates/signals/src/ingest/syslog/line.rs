//! A syslog message as a line of our own. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Message;
use crate::{
    ingest::draft::{Draft, millis},
    syslog,
};

/// The source of messages that name neither a program nor a machine.
const NOBODY: &str = "syslog";

/// The line of a message that came at `received`.
pub(in crate::ingest) fn draft<'a>(message: &Message<'a>, received: Timestamp) -> Draft<'a> {
    let mut ctx = Map::new();
    let mut add = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            ctx.insert(key.to_owned(), value.into());
        }
    };
    add("facility", Some(syslog::facility(message.facility)));
    add("severity", Some(syslog::severity(message.severity)));
    add("host", message.host);
    add("procid", message.process);
    add("msgid", message.id);
    if !message.structured.is_empty() {
        let mut all: Map<String, Value> = Map::new();
        for element in &message.structured {
            let params = all.entry(element.id).or_insert_with(|| Map::new().into());
            if let Value::Object(params) = params {
                for (name, value) in &element.params {
                    params.insert((*name).to_owned(), value.as_ref().into());
                }
            }
        }
        ctx.insert("structured_data".to_owned(), all.into());
    }
    let data = Map::from_iter([
        ("level".to_owned(), Value::from(syslog::level(message.severity))),
        ("msg".to_owned(), Value::from(message.text)),
        ("ctx".to_owned(), Value::from(ctx)),
    ]);
    let time = message.time.unwrap_or(received);
    let source = message.app.or(message.host).unwrap_or(NOBODY);
    Draft::new(source, millis(time.as_microsecond()), "event", data)
}
