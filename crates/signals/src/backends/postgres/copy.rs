//! Lines as rows of `COPY .. FROM STDIN` in its text format.

use std::{fmt::Write as _, pin::pin, time::SystemTime};

use bytes::Bytes;
use futures_util::SinkExt;
use jiff::Timestamp;
use tokio_postgres::{Client, CopyInSink, Error};
use wire::signal::{Line, Record};

/// What became of rows that were copied.
pub(super) enum Copied {
    All,
    /// At least one of them cannot be stored, ever.
    Refused(String),
}

/// Copies rows.
///
/// # Errors
/// What is not about the rows.
pub(super) async fn copy(client: &Client, sql: &str, rows: &[(usize, Vec<u8>)]) -> Result<Copied, Error> {
    let text: Bytes = rows.iter().flat_map(|(_, row)| row).copied().collect();
    let copied = async {
        let sink: CopyInSink<Bytes> = client.copy_in(sql).await?;
        let mut sink = pin!(sink);
        sink.send(text).await?;
        sink.finish().await
    };
    match copied.await {
        Ok(_) => Ok(Copied::All),
        Err(error) if is_about_rows(&error) => Ok(Copied::Refused(in_words(&error))),
        Err(error) => Err(error),
    }
}

/// Whether other rows may do better: data exceptions and violated constraints (appendix A of PostgreSQL's manual).
fn is_about_rows(error: &Error) -> bool {
    error
        .code()
        .is_some_and(|code| code.code().starts_with("22") || code.code().starts_with("23"))
}

/// What the server said, without the rows' own contents.
pub(super) fn in_words(error: &Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("the server said: {} ({})", said.message(), said.code().code()),
        None => chassis::telemetry::in_full(error),
    }
}

/// A line as a row, with its end.
///
/// # Errors
/// Why it cannot be one.
pub(super) fn row(received: SystemTime, line: &[u8]) -> Result<Vec<u8>, String> {
    let Ok(Line::Data(record)) = Line::read(line) else {
        return Err("it is no signal line".to_owned());
    };
    let Record {
        source,
        time,
        kind,
        trace,
        span,
        parent,
        ..
    } = &record;
    let received = Timestamp::try_from(received).map_err(|_| "its time of receipt is none".to_owned())?;
    let mut row = String::with_capacity(line.len() + 64);
    // Writing to a string cannot fail.
    let _ = write!(row, "{received}\t{}", self::time(*time)?);
    for text in [Some(source), Some(kind), trace.as_ref(), span.as_ref(), parent.as_ref()] {
        row.push('\t');
        column(&mut row, text.map(|text| &**text));
    }
    row.push('\t');
    column(&mut row, record.raw_data());
    row.push('\n');
    Ok(row.into_bytes())
}

/// A time in milliseconds since 1970.
fn time(millis: f64) -> Result<Timestamp, String> {
    let micros = (millis * 1000.0).round();
    #[expect(clippy::cast_possible_truncation, reason = "what does not fit is no time either")]
    let time = Timestamp::from_microsecond(micros as i64);
    time.map_err(|_| "its `ts` is beyond all calendars".to_owned())
}

/// Adds a text as the format has it.
fn column(row: &mut String, text: Option<&str>) {
    let Some(text) = text else {
        row.push_str("\\N");
        return;
    };
    for character in text.chars() {
        match character {
            '\\' => row.push_str("\\\\"),
            '\t' => row.push_str("\\t"),
            '\n' => row.push_str("\\n"),
            '\r' => row.push_str("\\r"),
            other => row.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> String {
        String::from_utf8(row(SystemTime::UNIX_EPOCH, line.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_line_is_a_row_that_no_text_can_break() {
        let line = r#"{"src":"a\tb\\N","ts":1697821234567.25,"type":"x\ny","tid":"t","data": {"m":"a\\b\t"} }"#;
        assert_eq!(
            text(line),
            "1970-01-01T00:00:00Z\t2023-10-20T17:00:34.56725Z\ta\\tb\\\\N\tx\\ny\tt\t\\N\t\\N\t{\"m\":\"a\\\\\\\\b\\\\t\"}\n"
        );
    }

    #[test]
    fn a_time_beyond_all_calendars_is_refused() {
        let line = r#"{"src":"a","ts":1e300,"type":"event"}"#;
        assert!(row(SystemTime::UNIX_EPOCH, line.as_bytes()).is_err());
    }
}
