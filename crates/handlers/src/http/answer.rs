//! What an answer means: by its status and its media type.
//!
//! Pure. 200 is a result, 204 none; 408, 429 and 5xx are failures that may be tried again, every other 4xx is one
//! that may not.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use wire::{Fault, Frame, Json, Problem, Protocol, Reply, ReplyStyle, read_reply};

use crate::BadAnswer;

/// What kind of answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One result.
    Result,
    /// No result.
    Empty,
    /// Frames, a line each.
    Lines,
    /// Frames, an event each.
    Events,
    /// A failure.
    Failure,
}

/// What kind of answer this head announces.
///
/// # Errors
/// None: its status is no answer.
pub(crate) fn kind(status: StatusCode, headers: &HeaderMap) -> Result<Kind, BadAnswer> {
    let why = match status.as_u16() {
        200 => {
            return Ok(match media_type(headers).as_str() {
                "application/x-ndjson" | "application/ndjson" => Kind::Lines,
                "text/event-stream" => Kind::Events,
                _ => Kind::Result,
            });
        }
        204 => return Ok(Kind::Empty),
        400.. => return Ok(Kind::Failure),
        300..400 => "redirects are not followed, give the handler's own address",
        202 => "work that is accepted and not done is lost with its handler: answer when it is done",
        _ => "answer 200 with the result, or 204 without one",
    };
    Err(BadAnswer::Status {
        status: status.as_u16(),
        why,
    })
}

/// The failure that a status from 400 on is, with what its body says of it.
pub(crate) fn failure(status: StatusCode, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Fault {
    let told = match media_type(headers).as_str() {
        Problem::MEDIA_TYPE => problem(body),
        _ => framed(body),
    };
    let told = told.unwrap_or_else(|| {
        let said = excerpt(headers, body).map_or_else(String::new, |said| format!(": {said}"));
        Fault {
            details: Some(Json::from_value(&BTreeMap::from([("status", status.as_u16())]))),
            ..Fault::new(format!("HTTP {status}{said}"))
        }
    });
    let told = Fault {
        status: Some(status.as_u16()),
        ..told
    };
    let may_be_tried_again = status.is_server_error() || [408, 429].contains(&status.as_u16());
    if !may_be_tried_again {
        return Fault {
            retryable: Some(false),
            retry_after: None,
            ..told
        };
    }
    Fault {
        retryable: told.retryable.or(Some(true)),
        retry_after: retry_after(headers, now).max(told.retry_after),
        ..told
    }
}

/// What a problem in the sense of RFC 9457 says; members of a wrong type are passed over, as that asks.
fn problem(body: &Bytes) -> Option<Fault> {
    let whole = Json::parse(body.clone()).ok()?;
    let members: BTreeMap<String, Json> = whole.read().ok()?;
    let text = |name: &str| {
        let text: String = members.get(name)?.read().ok()?;
        Some(text).filter(|text| !text.trim().is_empty())
    };
    let kind = text("type").filter(|kind| kind != "about:blank");
    let code = text("code").or(kind);
    let message = text("detail").or_else(|| text("title")).or_else(|| code.clone());
    Some(Fault {
        code,
        details: Some(whole),
        ..Fault::new(message.unwrap_or_default())
    })
}

/// A failure in the form of an error frame.
fn framed(body: &Bytes) -> Option<Fault> {
    match read_reply(body.clone(), ReplyStyle::Auto, Protocol::Plain) {
        Ok(Frame::Final(Reply::Fault(fault))) => Some(fault),
        _ => None,
    }
}

/// The beginning of what a body says, where it is text for a person.
pub(crate) fn excerpt(headers: &HeaderMap, body: &Bytes) -> Option<String> {
    let media = media_type(headers);
    if !(media.is_empty() || media == "text/plain" || media.ends_with("json")) {
        return None;
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]);
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// How long is to be waited before another attempt.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        let at = DateTimeParser::new().parse_timestamp(text).ok()?;
        Duration::try_from(at.duration_since(now)).unwrap_or_default()
    };
    Some(wait.min(LONGEST))
}

/// The media type without its parameters, in lower case.
fn media_type(headers: &HeaderMap) -> String {
    let whole = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    whole.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// How much of a text is shown.
const EXCERPT: usize = 500;
/// A wait that is longer is a mistake.
const LONGEST: Duration = Duration::from_hours(365 * 24);

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

    use super::*;

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        list.iter().map(pair).collect()
    }

    fn failed(status: u16, list: &[(&str, &str)], body: &'static str) -> Fault {
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        failure(StatusCode::from_u16(status).unwrap(), &headers(list), &body.into(), now)
    }

    #[test]
    fn a_status_and_a_media_type_say_what_kind_of_answer_it_is() {
        let kind = |status, media| {
            kind(
                StatusCode::from_u16(status).unwrap(),
                &headers(&[("content-type", media)]),
            )
        };
        assert_eq!(kind(200, "application/json").unwrap(), Kind::Result);
        assert_eq!(kind(200, "text/html").unwrap(), Kind::Result);
        assert_eq!(kind(200, "Application/X-NDJSON; charset=utf-8").unwrap(), Kind::Lines);
        assert_eq!(kind(200, "text/event-stream").unwrap(), Kind::Events);
        assert_eq!(kind(204, "").unwrap(), Kind::Empty);
        for status in [400, 404, 408, 429, 500, 503] {
            assert_eq!(kind(status, "text/event-stream").unwrap(), Kind::Failure);
        }
        for status in [101, 201, 202, 206, 301, 307] {
            let error = kind(status, "").unwrap_err().to_string();
            assert!(error.contains(&status.to_string()), "{error}");
        }
    }

    #[test]
    fn what_may_be_tried_again_is_said_by_the_status() {
        for (status, retryable) in [
            (400, false),
            (404, false),
            (422, false),
            (408, true),
            (429, true),
            (500, true),
            (503, true),
        ] {
            let fault = failed(status, &[], "");
            assert_eq!(fault.retryable, Some(retryable), "{status}");
            assert_eq!((fault.code, fault.retry_after), (None, None));
            assert!(fault.message.contains(&status.to_string()), "{}", fault.message);
        }
        let own = failed(
            500,
            &[],
            r#"{"status":"error","error":"no_model","message":"gone","retryable":false}"#,
        );
        assert_eq!((own.code.as_deref(), own.retryable), (Some("no_model"), Some(false)));
        let short = failed(422, &[], r#"{"error":"bad","type":"ValueError"}"#);
        assert_eq!(
            (short.kind.as_deref(), short.retryable),
            (Some("ValueError"), Some(false))
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wait = |text| failed(503, &[("retry-after", text)], "").retry_after;
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Tue, 01 Jan 2030 00:01:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("99999999999999999999999"), Some(LONGEST));
        assert_eq!((wait("soon"), wait("-1")), (None, None));
        assert_eq!(failed(404, &[("retry-after", "7")], "").retry_after, None);
    }

    #[test]
    fn a_problem_says_its_code_and_its_message() {
        let media = [("content-type", "application/problem+json; charset=utf-8")];
        let fault = failed(
            422,
            &media,
            r#"{"type":"https://e.org/p","title":"Bad","detail":"row 7","code":"bad_row","status":"422","row":7}"#,
        );
        assert_eq!(
            (fault.code.as_deref(), fault.message.as_str()),
            (Some("bad_row"), "row 7")
        );
        assert!(fault.details.unwrap().as_str().contains("\"row\":7"));
        let fault = failed(503, &media, r#"{"type":"https://e.org/p","title":"Busy","code":5}"#);
        assert_eq!(
            (fault.code.as_deref(), fault.message.as_str()),
            (Some("https://e.org/p"), "Busy")
        );
        let blank = failed(503, &media, r#"{"type":"about:blank"}"#);
        assert!(blank.code.is_none() && !blank.message.is_empty());
        assert!(failed(500, &media, "<html>").message.starts_with("HTTP 500"));
    }

    #[test]
    fn text_for_a_person_is_shown_and_a_page_is_not() {
        let shown = failed(500, &[("content-type", "text/plain")], "out of memory\n");
        assert_eq!(shown.message, "HTTP 500 Internal Server Error: out of memory");
        let page = failed(500, &[("content-type", "text/html")], "<html>");
        assert_eq!(page.message, "HTTP 500 Internal Server Error");
        assert_eq!(page.details.unwrap().as_str(), r#"{"status":500}"#);
    }
}
