//! One line for each request and each call, in one of the common formats, when the last byte of its answer is out.
//!
//! Lines go where the program's log goes, with the target `calls::access`.

use std::{
    fmt::Write as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use jiff::Zoned;
use serde_json::json;
use tokio::time::Instant;
use tracing::{Level, info};

use crate::{Body, BodyError, config::AccessLogFormat, listen::Peer};

/// Where lines are written; a cheap handle, clones share one format.
#[derive(Debug, Clone)]
pub(crate) struct AccessLog {
    format: Arc<ArcSwap<AccessLogFormat>>,
}

/// The line of a request that is being answered, where one is written.
#[derive(Debug)]
pub(crate) struct Entry(Option<Asked>);

/// What is known of a request before it is answered.
#[derive(Debug)]
struct Asked {
    format: AccessLogFormat,
    host: String,
    at: Zoned,
    begun: Instant,
    method: Method,
    /// Without the query, which may hold what nobody else should see.
    path: String,
    version: Version,
    /// Where a format tells of them.
    referer: Option<String>,
    user_agent: Option<String>,
}

impl AccessLog {
    pub(crate) fn new(format: AccessLogFormat) -> Self {
        Self {
            format: Arc::new(ArcSwap::from_pointee(format)),
        }
    }

    /// From the next request on.
    pub(crate) fn write_as(&self, format: AccessLogFormat) {
        self.format.store(Arc::new(format));
    }

    /// A request came.
    pub(crate) fn begin<B>(&self, request: &Request<B>) -> Entry {
        let format = **self.format.load();
        // Where the log's level leaves lines out, nothing is noted for them.
        if format == AccessLogFormat::Off || !tracing::enabled!(target: "calls::access", Level::INFO) {
            return Entry(None);
        }
        let shown = |peer: &Peer| peer.ip().map_or_else(|| "unix".to_owned(), |ip| ip.to_string());
        let text = |name: HeaderName| {
            let is_told = format != AccessLogFormat::Common;
            is_told.then(|| text(request.headers(), &name)).flatten()
        };
        Entry(Some(Asked {
            format,
            host: request.extensions().get().map_or_else(|| "-".to_owned(), shown),
            at: Zoned::now(),
            begun: Instant::now(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            version: request.version(),
            referer: text(header::REFERER),
            user_agent: text(header::USER_AGENT),
        }))
    }

    /// Tells of a call that did not come over HTTP.
    pub(crate) fn call(&self, function: &str, code: &str, bytes: usize) {
        let at = Zoned::now();
        match **self.format.load() {
            AccessLogFormat::Off => {}
            AccessLogFormat::Json => {
                let line = json!({
                    "host": "unix", "time": stamp(&at), "method": "CALL", "path": function, "protocol": "IPC", "status": code,
                    "bytes": bytes,
                });
                info!(target: "calls::access", "{line}");
            }
            AccessLogFormat::Common | AccessLogFormat::Combined => {
                let at = common(&at);
                info!(target: "calls::access", "unix - - [{at}] \"CALL {function} IPC\" {code} {bytes}");
            }
        }
    }
}

impl Entry {
    /// Has the line written when the answer is out, or given up.
    pub(crate) fn follow(self, response: Response<Body>) -> Response<Body> {
        let Some(asked) = self.0 else { return response };
        let status = response.status().as_u16();
        response.map(|inner| {
            Body::new(Logged {
                inner,
                asked,
                status,
                bytes: 0,
            })
        })
    }
}

impl Asked {
    fn line(&self, status: u16, bytes: u64) -> String {
        let Self {
            host,
            at,
            method,
            path,
            version,
            ..
        } = self;
        if self.format == AccessLogFormat::Json {
            let line = json!({
                "host": host, "time": stamp(at), "method": method.as_str(), "path": path, "protocol": format!("{version:?}"),
                "status": status, "bytes": bytes, "seconds": self.begun.elapsed().as_secs_f64(), "referer": self.referer,
                "user_agent": self.user_agent,
            });
            return line.to_string();
        }
        let bytes = if bytes == 0 { "-".to_owned() } else { bytes.to_string() };
        let (at, path) = (common(at), quotable(path));
        let mut line = format!("{host} - - [{at}] \"{method} {path} {version:?}\" {status} {bytes}");
        if self.format == AccessLogFormat::Combined {
            let shown = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), quotable);
            // Writing to a string does not fail.
            let _ = write!(line, " \"{}\" \"{}\"", shown(&self.referer), shown(&self.user_agent));
        }
        line
    }
}

/// A header as text; what is not is replaced.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// What may stand between quotes: nobody ends a field early, or a line.
fn quotable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => safe.extend(['\\', character]),
            character if character.is_control() => {
                let _ = write!(safe, "\\x{:02x}", u32::from(character));
            }
            character => safe.push(character),
        }
    }
    safe
}

/// A time as the common log format has it.
fn common(at: &Zoned) -> jiff::fmt::strtime::Display<'_> {
    at.strftime("%d/%b/%Y:%H:%M:%S %z")
}

/// A time as RFC 3339 has it.
fn stamp(at: &Zoned) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

struct Logged {
    inner: Body,
    asked: Asked,
    status: u16,
    bytes: u64,
}

impl HttpBody for Logged {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.bytes += data.len() as u64;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        info!(target: "calls::access", "{}", self.asked.line(self.status, self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(format: AccessLogFormat) -> Asked {
        Asked {
            format,
            host: "127.0.0.1".into(),
            at: "2030-01-02T03:04:05+01:00[+01:00]".parse().unwrap(),
            begun: Instant::now(),
            method: Method::POST,
            path: "/invoke".into(),
            version: Version::HTTP_11,
            referer: None,
            user_agent: Some("a \"b\"\n".into()),
        }
    }

    #[test]
    fn a_line_is_in_the_common_log_format() {
        let asked = asked(AccessLogFormat::Common);
        assert_eq!(
            asked.line(200, 17),
            "127.0.0.1 - - [02/Jan/2030:03:04:05 +0100] \"POST /invoke HTTP/1.1\" 200 17"
        );
        assert!(asked.line(204, 0).ends_with(" 204 -"));
    }

    #[test]
    fn a_combined_line_ends_with_what_the_client_says_of_itself() {
        let line = asked(AccessLogFormat::Combined).line(200, 17);
        assert!(line.ends_with(r#" 200 17 "-" "a \"b\"\x0a""#), "{line}");
    }

    #[test]
    fn a_json_line_is_an_object() {
        let line: serde_json::Value = serde_json::from_str(&asked(AccessLogFormat::Json).line(200, 17)).unwrap();
        assert_eq!(line["time"], "2030-01-02T03:04:05.000+01:00");
        assert_eq!((&line["status"], &line["bytes"]), (&json!(200), &json!(17)));
        assert_eq!(line["user_agent"], "a \"b\"\n");
    }
}
