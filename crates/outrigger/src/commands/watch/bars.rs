//! Draws a trace: a row a span, with a bar for its time within the whole.
//!
//! Pure.

use std::fmt::Write;

use super::{
    figures::millis,
    reading::{Row, Trace},
};
use crate::{
    human::{count, shorten},
    terminal::Paint,
};

/// Draws a trace in rows of at most `width` characters.
pub fn draw(trace: &Trace, width: usize, paint: Paint) -> String {
    let rows = &trace.rows;
    let begin = rows.iter().filter_map(|row| row.start).fold(f64::INFINITY, f64::min);
    let ends = rows.iter().filter_map(|row| row.end.or(row.start));
    let whole = Span {
        begin,
        end: ends.fold(begin, f64::max),
    };
    let durations: Vec<String> = rows.iter().map(duration).collect();
    let statuses: Vec<String> = rows.iter().map(status).collect();
    let labels = labels(rows);
    let widest = |texts: &[String]| texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let (time, state) = (widest(&durations), widest(&statuses));
    let label = widest(&labels).min((width / 2).max(LEAST));
    let bar = width.saturating_sub(label + time + state + 3 * GAP.len()).max(LEAST);

    let mut text = head(trace, &whole, paint);
    for (index, row) in rows.iter().enumerate() {
        let name = shorten(&labels[index], label);
        let colour = |text: &str| match row.status.to_ascii_lowercase().as_str() {
            "error" | "failed" | "failure" | "timeout" => paint.bad(text),
            _ => paint.good(text),
        };
        let bars = whole.bar(row, bar);
        let padded = format!("{:bar$}", "");
        let drawn = if bars.is_empty() { padded } else { bars };
        let line = format!(
            "{name:label$}{GAP}{}{GAP}{:>time$}{GAP}{}",
            colour(&drawn),
            durations[index],
            if row.end.is_none() {
                paint.dim(&statuses[index])
            } else {
                colour(&statuses[index])
            },
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// From when to when.
struct Span {
    begin: f64,
    end: f64,
}

impl Span {
    fn length(&self) -> Option<f64> {
        (self.end - self.begin).is_finite().then_some(self.end - self.begin)
    }

    /// The bar of a span in so many characters: solid where its end is known, else open to the trace's own end.
    fn bar(&self, row: &Row, width: usize) -> String {
        let (Some(start), Some(length)) = (row.start, self.length()) else {
            return String::new();
        };
        let end = row.end.map_or(self.end, |end| end.max(start));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a line of a terminal"
        )]
        let place = |time: f64| {
            let share = if length > 0.0 {
                (time - self.begin) / length
            } else {
                0.0
            };
            (share.clamp(0.0, 1.0) * width as f64).round() as usize
        };
        let from = place(start).min(width - 1);
        let to = place(end).clamp(from + 1, width);
        let fill = if row.end.is_some() { "█" } else { "░" };
        format!(
            "{}{}{}",
            " ".repeat(from),
            fill.repeat(to - from),
            " ".repeat(width - to)
        )
    }
}

fn head(trace: &Trace, whole: &Span, paint: Paint) -> String {
    let mut text = format!(
        "{}{GAP}{}",
        paint.strong(&format!("trace {}", shorten(&trace.id, LONGEST_ID))),
        count(trace.rows.len(), "span")
    );
    #[expect(clippy::cast_possible_truncation, reason = "what is out of range is no moment")]
    let moment = jiff::Timestamp::from_millisecond(whole.begin as i64);
    if let (Some(length), Ok(moment)) = (whole.length(), moment) {
        let _infallible = write!(text, "{GAP}{}{GAP}{}", millis(length), paint.dim(&moment.to_string()));
    }
    text.push('\n');
    text
}

/// Source and name of each span, behind the lines that lead to it.
fn labels(rows: &[Row]) -> Vec<String> {
    // Whether a line goes on at each depth.
    let mut lines: Vec<bool> = Vec::new();
    let label = |row: &Row| {
        lines.truncate(row.depth);
        let mut text = String::new();
        if row.depth > DEEPEST {
            // Further in nobody could tell the lines apart, and they would fill the screen.
            let _infallible = write!(text, "⋯{} ", row.depth);
        } else if row.depth > 0 {
            for goes_on in &lines[1..] {
                text.push_str(if *goes_on { "│ " } else { "  " });
            }
            text.push_str(if row.is_last { "└ " } else { "├ " });
        }
        lines.push(!row.is_last);
        text.push_str(&row.source);
        if !row.name.is_empty() {
            text.push(' ');
            text.push_str(&row.name);
        }
        if row.cycle {
            text.push_str(" (cycle)");
        }
        text
    };
    rows.iter().map(label).collect()
}

fn duration(row: &Row) -> String {
    match row.start.zip(row.end) {
        Some((start, end)) => millis(end - start),
        None => "-".to_owned(),
    }
}

fn status(row: &Row) -> String {
    if row.status.is_empty() && row.end.is_none() {
        "no end".to_owned()
    } else {
        shorten(&row.status, LONGEST_STATUS)
    }
}

/// Between columns.
const GAP: &str = "  ";
/// What a column has at least, however narrow the terminal is.
const LEAST: usize = 10;
/// The depth to which the lines between spans are drawn; below it stands the depth as a number.
const DEEPEST: usize = 12;
const LONGEST_ID: usize = 64;
const LONGEST_STATUS: usize = 20;

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;

    fn drawn(roots: &serde_json::Value, width: usize) -> String {
        let text = json!({ "trace_id": "4bf92f", "spans": 0, "roots": roots }).to_string();
        draw(&Trace::read(&text).unwrap(), width, Paint::new(false))
    }

    #[test]
    fn a_trace_is_drawn_over_its_own_time() {
        let span =
            |source: &str, name: &str, start: f64, end: Option<f64>, status: &str, children: serde_json::Value| {
                json!({ "source": source, "name": name, "start": 1.7e12 + start, "end": end.map(|end| 1.7e12 + end),
                "status": status, "children": children })
            };
        let roots = json!([
            span("api", "GET /orders", 0.0, Some(1000.0), "ok", json!([
                span("db", "select", 100.0, Some(350.5), "ok", json!([span("db", "parse", 100.0, Some(100.25), "ok", json!([]))])),
                span("mail", "send", 500.0, Some(1000.0), "error", json!([])),
                span("log", "write\u{1b}[31m", 900.0, None, "", json!([])),
            ])),
            { "source": "late", "name": null, "start": null, "end": null, "status": null, "children": [] },
        ]);
        assert_snapshot!(drawn(&roots, 80), @r"
        trace 4bf92f  6 spans  1.00s  2023-11-14T22:13:20Z
        api GET /orders   █████████████████████████████████████████████    1.00s  ok
        ├ db select            ███████████                               250.5ms  ok
        │ └ db parse           █                                          0.25ms  ok
        ├ mail send                              ██████████████████████  500.0ms  error
        └ log write [31m                                           ░░░░        -  no end
        late                                                                   -  no end
        ");
    }

    #[test]
    fn a_trace_without_any_time_is_a_list() {
        let roots =
            json!([{ "source": "a", "name": "x", "cycle": true, "children": [{ "source": "b", "children": [] }] }]);
        assert_snapshot!(drawn(&roots, 40), @r"
        trace 4bf92f  2 spans
        a x (cycle)                    -  no end
        └ b                            -  no end
        ");
    }

    #[test]
    fn rows_stay_within_the_width_however_deep_the_trace_is() {
        let mut text = String::from(r#"{"trace_id":"t","roots":["#);
        for depth in 0..300 {
            let _infallible = write!(
                text,
                r#"{{"source":"source","name":"span","start":{depth},"end":600,"children":["#
            );
        }
        text.push_str(&"]}".repeat(300));
        text.push_str("]}");
        let drawn = draw(&Trace::read(&text).unwrap(), 80, Paint::new(false));
        assert_eq!(drawn.lines().count(), 301);
        for line in drawn.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(drawn.contains("⋯299 source"), "{drawn}");
    }
}
