//! A line as a syslog message. Pure.

use std::{borrow::Cow, io::Write};

use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use wire::signal::{Level, Line, Record};

use crate::{
    config::{Facility, SyslogFormat},
    syslog,
};

/// How messages are written.
#[derive(Debug, Clone)]
pub(super) struct Style {
    format: SyslogFormat,
    facility: Facility,
    hostname: String,
    /// The receiver is on this machine, and takes the older form without a host.
    is_local: bool,
    /// Of times in the older form, which has none.
    zone: TimeZone,
}

/// The most characters of a field (RFC 5424, 6).
const HOSTNAME: usize = 255;
const APP: usize = 48;
const PROCESS: usize = 128;
const ID: usize = 32;
/// Under the number that RFC 5612 sets aside, as we have none of our own.
const ELEMENT: &str = "outrigger@32473";

/// What of a line's data becomes more than text.
#[derive(Debug, Default, Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    msg: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
struct Context<'a> {
    #[serde(borrow)]
    procid: Option<Cow<'a, str>>,
}

impl Style {
    pub(super) fn new(format: SyslogFormat, facility: Facility, hostname: Option<&str>, is_local: bool) -> Self {
        Self {
            format,
            facility,
            hostname: field(hostname.unwrap_or_default(), HOSTNAME),
            is_local,
            zone: TimeZone::system(),
        }
    }

    /// The message of a line, with as much of its text as goes into `most` bytes.
    pub(super) fn message(&self, line: &[u8], most: usize) -> Vec<u8> {
        let raw = String::from_utf8_lossy(line);
        let mut message = Vec::with_capacity(line.len() + 128);
        let Ok(Line::Data(record)) = Line::read(line) else {
            // What is in a buffer was read before.
            let _ = write!(message, "<{}>{raw}", self.priority(None));
            return message;
        };
        let data = record.data();
        let level = data.level.as_deref().and_then(Level::named);
        let process = data
            .context
            .and_then(|ctx| serde_json::from_str::<Context<'_>>(ctx).ok());
        let process = process.and_then(|ctx| ctx.procid);
        let priority = self.priority(level);
        match self.format {
            SyslogFormat::Rfc5424 => self.modern(&mut message, priority, &record, process.as_deref()),
            SyslogFormat::Rfc3164 => self.older(&mut message, priority, &record, process.as_deref()),
        }
        let said = record
            .raw_data()
            .and_then(|data| serde_json::from_str::<Data<'_>>(data).ok());
        let said = said.and_then(|data| data.msg);
        let text = said.as_deref().unwrap_or(&raw);
        let end = text.floor_char_boundary(most.saturating_sub(message.len()));
        message.extend_from_slice(&text.as_bytes()[..end]);
        message
    }

    fn priority(&self, level: Option<Level>) -> u8 {
        self.facility as u8 * 8 + syslog::severity_of(level.unwrap_or(Level::Info))
    }

    fn modern(&self, message: &mut Vec<u8>, priority: u8, record: &Record<'_>, process: Option<&str>) {
        let time = time(record).map_or_else(|| "-".to_owned(), |time| format!("{time:.3}"));
        let _ = write!(
            message,
            "<{priority}>1 {time} {} {} {} {} ",
            self.hostname,
            field(&record.source, APP),
            field(process.unwrap_or_default(), PROCESS),
            field(&record.kind, ID),
        );
        let ids = [("tid", &record.trace), ("sid", &record.span)];
        if ids.iter().all(|(_, id)| id.is_none()) {
            message.extend_from_slice(b"- ");
            return;
        }
        let _ = write!(message, "[{ELEMENT}");
        for (name, id) in ids {
            if let Some(id) = id {
                let _ = write!(message, " {name}=\"{}\"", escaped(id));
            }
        }
        message.extend_from_slice(b"] ");
    }

    fn older(&self, message: &mut Vec<u8>, priority: u8, record: &Record<'_>, process: Option<&str>) {
        let time = time(record).unwrap_or_else(Timestamp::now).to_zoned(self.zone.clone());
        let _ = write!(message, "<{priority}>{} ", time.strftime("%b %e %H:%M:%S"));
        if !self.is_local {
            let _ = write!(message, "{} ", self.hostname);
        }
        // These would end a tag.
        let tag = field(&record.source, APP).replace([':', '[', ']'], "_");
        let _ = match process {
            Some(process) => write!(message, "{tag}[{}]: ", field(process, PROCESS).replace(']', "_")),
            None => write!(message, "{tag}: "),
        };
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what is too large becomes the largest, which is no time"
)]
fn time(record: &Record<'_>) -> Option<Timestamp> {
    Timestamp::from_microsecond((record.time * 1000.0).round() as i64).ok()
}

/// Printable ASCII without spaces, so many characters at most; `-` for nothing.
fn field(text: &str, most: usize) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let fits = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    text.chars().take(most).map(fits).collect()
}

/// A value of structured data, without what would break a receiver that counts lines.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '"' | '\\' | ']') {
            escaped.push('\\');
        }
        escaped.push(if c.is_control() { '_' } else { c });
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::ingest::syslog::{Clock, Message};

    fn style(format: SyslogFormat, is_local: bool) -> Style {
        Style {
            zone: TimeZone::UTC,
            ..Style::new(format, Facility::Local0, Some("web 1"), is_local)
        }
    }

    fn shown(style: &Style, line: &serde_json::Value, most: usize) -> String {
        String::from_utf8(style.message(line.to_string().as_bytes(), most)).unwrap()
    }

    #[test]
    fn a_line_is_a_message_of_its_source_and_level() {
        let modern = style(SyslogFormat::Rfc5424, false);
        let line = json!({ "src": "api svc", "ts": 1_697_821_234_567.0, "type": "event", "tid": "t\"]", "sid": "s",
            "data": { "level": "error", "msg": "it\nfailed", "ctx": { "procid": "7" } } });
        assert_eq!(
            shown(&modern, &line, usize::MAX),
            "<131>1 2023-10-20T17:00:34.567Z web_1 api_svc 7 event [outrigger@32473 tid=\"t\\\"\\]\" sid=\"s\"] it\nfailed"
        );
        let metric = json!({ "data": { "name": "n", "value": 1 }, "src": "é", "ts": 1e300, "type": "metric" });
        assert_eq!(
            shown(&modern, &metric, usize::MAX),
            format!("<134>1 - web_1 _ - metric - {metric}")
        );
        assert_eq!(
            shown(&style(SyslogFormat::Rfc3164, true), &line, usize::MAX),
            "<131>Oct 20 17:00:34 api_svc[7]: it\nfailed"
        );
        assert_eq!(
            shown(
                &style(SyslogFormat::Rfc3164, false),
                &json!({ "src": "a:b", "ts": 0, "type": "event", "data": { "msg": "x" } }),
                usize::MAX
            ),
            "<134>Jan  1 00:00:00 web_1 a_b: x"
        );
    }

    #[test]
    fn a_text_is_cut_where_a_character_ends() {
        let line = json!({ "src": "a", "ts": 0, "type": "event", "data": { "msg": "ääää" } });
        let whole = shown(&style(SyslogFormat::Rfc5424, false), &line, usize::MAX);
        let cut = shown(&style(SyslogFormat::Rfc5424, false), &line, whole.len() - 1);
        assert_eq!(cut, whole.strip_suffix('ä').unwrap());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            source in "\\PC{1,60}", text in "\\PC{0,30}", trace in proptest::option::of("\\PC{1,20}"), time in 0_i64..1 << 45,
        ) {
            let line = json!({ "src": source, "ts": time, "type": "event", "tid": trace, "data": { "level": "warn", "msg": text } });
            let written = shown(&style(SyslogFormat::Rfc5424, false), &line, usize::MAX);
            let clock = Clock { received: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
            let read = Message::read(&written, &clock);
            prop_assert_eq!((read.facility, read.severity, read.host, read.id), (16, 4, Some("web_1"), Some("event")));
            prop_assert_eq!(read.time.map(Timestamp::as_millisecond), Some(time));
            prop_assert_eq!(read.app.map(|app| app.chars().count()), Some(source.chars().count().min(APP)).filter(|_| read.app.is_some()));
            let traces: Vec<&str> = read.structured.iter().flat_map(|element| &element.params).map(|(_, value)| &**value).collect();
            prop_assert_eq!(traces, trace.as_deref().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(read.text, text.trim_start_matches('\u{feff}'));
        }
    }
}
