//! One signal line as people read it.
//!
//! Pure. What cannot be read is shown as it came, without its control characters.

use serde_json::{Map, Value};
use wire::signal::{Level, Line, SpanData};

use super::figures::millis;
use crate::terminal::Paint;

/// A line as people read it.
pub fn show(line: &str, paint: Paint) -> String {
    let Ok(Line::Data(record)) = Line::read(line.as_bytes()) else {
        return plain(line);
    };
    let data = record.raw_data().and_then(|text| serde_json::from_str(text).ok());
    let members = match data {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let said = match &*record.kind {
        "event" => event(&members, paint),
        "metric" => metric(&members, paint),
        "progress" => progress(&members),
        "resource" => pairs(&members),
        "span" => {
            let tags = tags(&members, "tags", paint);
            let ids = [("trace", &record.trace), ("span", &record.span)];
            let ids = ids
                .iter()
                .filter_map(|(name, id)| Some(paint.dim(&plain(&format!("{name}={}", id.as_deref()?)))));
            join([span(&SpanData::of(&record)), tags].into_iter().chain(ids))
        }
        kind => join([paint.strong(&plain(kind)), pairs(&members)]),
    };
    let time = paint.dim(&format!("{:<12}", time(record.time)));
    let source = paint.strong(&plain(&record.source));
    let kind = if record.kind == "event" {
        level(&members, paint)
    } else {
        format!("{:<6}", kind(&record.kind))
    };
    join([time, kind, source, said])
}

/// The first letters of what a line is.
fn kind(kind: &str) -> &str {
    match kind {
        "metric" => "metric",
        "progress" => "job",
        "resource" => "usage",
        "span" => "span",
        _ => "-",
    }
}

fn event(members: &Map<String, Value>, paint: Paint) -> String {
    join([text(members, "msg"), tags(members, "ctx", paint)])
}

fn level(members: &Map<String, Value>, paint: Paint) -> String {
    let named = text(members, "level");
    let padded = format!("{:<6}", named.to_uppercase());
    match Level::named(&named) {
        Some(Level::Error | Level::Fatal) => paint.bad(&padded),
        Some(Level::Warn) => paint.odd(&padded),
        Some(Level::Info) => paint.good(&padded),
        Some(Level::Debug) => paint.dim(&padded),
        None => padded,
    }
}

fn metric(members: &Map<String, Value>, paint: Paint) -> String {
    let reading = format!("{}={}", text(members, "name"), text(members, "value"));
    join([reading, text(members, "unit"), tags(members, "tags", paint)])
}

fn progress(members: &Map<String, Value>) -> String {
    let percent = format!("{}%", text(members, "percent"));
    join([text(members, "job_id"), percent, text(members, "status")])
}

fn span(data: &SpanData<'_>) -> String {
    let name = data.name.as_deref().map(plain).unwrap_or_default();
    let state = match (data.start, data.end) {
        (Some(start), Some(end)) => millis(end - start),
        (None, Some(_)) => "ended".to_owned(),
        (_, None) => "begins".to_owned(),
    };
    join([name, state, data.status.as_deref().map(plain).unwrap_or_default()])
}

/// The members of an object, beside the point.
fn tags(members: &Map<String, Value>, key: &str, paint: Paint) -> String {
    match members.get(key) {
        Some(Value::Object(members)) if !members.is_empty() => paint.dim(&pairs(members)),
        _ => String::new(),
    }
}

fn pairs(members: &Map<String, Value>) -> String {
    let pair = |(key, value): (&String, &Value)| format!("{}={}", plain(key), value_text(value));
    members.iter().map(pair).collect::<Vec<_>>().join(" ")
}

fn text(members: &Map<String, Value>, key: &str) -> String {
    members
        .get(key)
        .filter(|value| !value.is_null())
        .map(value_text)
        .unwrap_or_default()
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    }
}

/// A text without control characters: lines come from anywhere, and must not move the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The time of the day, UTC.
fn time(millis: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "what is out of range is no moment")]
    let moment = jiff::Timestamp::from_millisecond(millis as i64);
    moment.map_or_else(|_| "?".to_owned(), |moment| moment.strftime("%H:%M:%S%.3f").to_string())
}

fn join(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn each_kind_of_line_is_told_in_its_own_way() {
        let lines = [
            r#"{"src":"api","ts":1700000000123,"type":"event","data":{"level":"warn","msg":"slow\u001b[2J","ctx":{"ms":250,"path":"/a"}}}"#,
            r#"{"src":"api","ts":1700000000123,"type":"event","data":{"msg":"no level"}}"#,
            r#"{"src":"api","ts":1700000000123,"type":"metric","data":{"name":"queue.depth","value":7,"unit":"jobs","tags":{"q":"a"}}}"#,
            r#"{"src":"job","ts":1700000000123,"type":"progress","data":{"job_id":"j1","percent":50,"status":"half"}}"#,
            r#"{"src":"host","ts":1700000000123,"type":"resource","data":{"cpu":1.5,"mem":2048}}"#,
            r#"{"src":"db","ts":1700000000123,"type":"span","tid":"t","sid":"s","data":{"name":"load","start":5}}"#,
            r#"{"src":"db","ts":1700000000123,"type":"span","tid":"t","sid":"s","data":{"name":"load","start":5,"end":17.5,"status":"ok","tags":{"n":1}}}"#,
            r#"{"src":"x","ts":1e300,"type":"odd","data":{"a":[1]}}"#,
            "no line\u{7}",
        ];
        let shown: Vec<String> = lines.iter().map(|line| show(line, Paint::new(false))).collect();
        assert_snapshot!(shown.join("\n"), @r"
        22:13:20.123 WARN   api slow [2J ms=250 path=/a
        22:13:20.123        api no level
        22:13:20.123 metric api queue.depth=7 jobs q=a
        22:13:20.123 job    job j1 50% half
        22:13:20.123 usage  host cpu=1.5 mem=2048
        22:13:20.123 span   db load begins trace=t span=s
        22:13:20.123 span   db load 12.5ms ok n=1 trace=t span=s
        ?            -      x odd a=[1]
        no line
        ");
    }
}
