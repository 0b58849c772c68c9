//! One line for each request, in the common log format, when the last byte of its answer is out.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, Request, Response, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use jiff::Zoned;
use tracing::info;

use crate::{Body, BodyError, listen::Peer};

/// What is known of a request before it is answered.
#[derive(Debug)]
pub(super) struct Entry {
    host: String,
    at: Zoned,
    method: Method,
    /// Without the query, which may hold what nobody else should see.
    path: String,
    version: Version,
}

impl Entry {
    pub(super) fn new<B>(request: &Request<B>) -> Self {
        let shown = |peer: &Peer| peer.ip().map_or_else(|| "unix".to_owned(), |ip| ip.to_string());
        Self {
            host: request.extensions().get().map_or_else(|| "-".to_owned(), shown),
            at: Zoned::now(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            version: request.version(),
        }
    }

    /// Has the line written when the answer is out, or given up.
    pub(super) fn follow(self, response: Response<Body>) -> Response<Body> {
        let status = response.status().as_u16();
        response.map(|inner| {
            Body::new(Logged {
                inner,
                entry: self,
                status,
                bytes: 0,
            })
        })
    }

    fn line(&self, status: u16, bytes: u64) -> String {
        let Self {
            host,
            at,
            method,
            path,
            version,
        } = self;
        let bytes = if bytes == 0 { "-".to_owned() } else { bytes.to_string() };
        let at = at.strftime("%d/%b/%Y:%H:%M:%S %z");
        format!("{host} - - [{at}] \"{method} {path} {version:?}\" {status} {bytes}")
    }
}

/// The line of a call that did not come over HTTP.
pub(crate) fn log_call(function: &str, code: &str, bytes: usize) {
    let at = Zoned::now();
    let at = at.strftime("%d/%b/%Y:%H:%M:%S %z");
    info!(target: "calls::access", "unix - - [{at}] \"CALL {function} IPC\" {code} {bytes}");
}

struct Logged {
    inner: Body,
    entry: Entry,
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
        info!(target: "calls::access", "{}", self.entry.line(self.status, self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_in_the_common_log_format() {
        let entry = Entry {
            host: "127.0.0.1".into(),
            at: "2030-01-02T03:04:05+01:00[+01:00]".parse().unwrap(),
            method: Method::POST,
            path: "/invoke".into(),
            version: Version::HTTP_11,
        };
        assert_eq!(
            entry.line(200, 17),
            "127.0.0.1 - - [02/Jan/2030:03:04:05 +0100] \"POST /invoke HTTP/1.1\" 200 17"
        );
        assert!(entry.line(204, 0).ends_with(" 204 -"));
    }
}
