//! Why a request was not answered, and what the client is told. Pure.

use std::{io, time::Duration};

use http::{HeaderValue, Response, StatusCode, header};

use crate::{Body, BodyError, http1};

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection within the time for it.
    #[error("no connection in time")]
    ConnectTimeout,
    /// No connection.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// All addresses are left alone.
    #[error("failing too often, left alone for another {left:?}")]
    Open { left: Duration },
    /// The request was sent, and no head came in time.
    #[error("no answer in time")]
    HeadersTimeout,
    /// The time for all of it is over.
    #[error("no answer in the time for all of it")]
    TotalTimeout,
    /// The upstream takes the request no further.
    #[error("the upstream stopped taking the request")]
    Stuck,
    /// The connection ended, or broke, without a head.
    #[error("the connection ended before the answer")]
    Closed {
        /// Whether anything of an answer had come.
        has_begun: bool,
        #[source]
        source: io::Error,
    },
    /// What came is no answer.
    #[error("the answer is none: {0}")]
    NotHttp(&'static str),
    /// The client's body is none, or the client has left.
    #[error("the body of the request broke off")]
    Client(#[source] BodyError),
    /// The client sends no more of its body.
    #[error("the client stopped sending the request")]
    ClientStuck,
    /// The method is not passed on.
    #[error("the method is not passed on")]
    Method,
}

impl Failure {
    /// Whether it speaks against the upstream's address.
    pub(super) fn is_upstreams(&self) -> bool {
        match self {
            Self::Connect(source) => !is_short_of(source),
            Self::ConnectTimeout
            | Self::HeadersTimeout
            | Self::TotalTimeout
            | Self::Stuck
            | Self::Closed { .. }
            | Self::NotHttp(_) => true,
            Self::Open { .. } | Self::Client(_) | Self::ClientStuck | Self::Method => false,
        }
    }

    /// Whether nothing of an answer had come, so that another try may be made.
    pub(super) fn is_before_answer(&self) -> bool {
        match self {
            Self::ConnectTimeout | Self::Connect(_) | Self::HeadersTimeout => true,
            Self::Closed { has_begun, .. } => !has_begun,
            _ => false,
        }
    }

    /// Its word in the metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::ConnectTimeout => "connect_timeout",
            Self::Connect(_) => "connect",
            Self::Open { .. } => "breaker_open",
            Self::HeadersTimeout => "headers_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::Stuck => "idle_timeout",
            Self::Closed { .. } => "closed",
            Self::NotHttp(_) => "not_http",
            Self::Client(_) | Self::ClientStuck => "client",
            Self::Method => "method",
        }
    }

    /// The status that the client gets.
    pub(super) fn status(&self) -> StatusCode {
        self.told().0
    }

    /// What the client gets.
    pub(super) fn answer(&self) -> Response<Body> {
        let (status, error) = self.told();
        let mut answer = Response::new(Body::from(format!("{{\"error\":\"{error}\"}}")));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Self::Open { left } = self {
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        if matches!(self, Self::Method) {
            let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH");
            headers.insert(header::ALLOW, allowed);
        }
        answer
    }

    fn told(&self) -> (StatusCode, &'static str) {
        match self {
            Self::ConnectTimeout | Self::HeadersTimeout | Self::TotalTimeout | Self::Stuck => {
                (StatusCode::GATEWAY_TIMEOUT, "Gateway timeout")
            }
            Self::Connect(_) => (StatusCode::SERVICE_UNAVAILABLE, "Sidecar unavailable"),
            Self::Open { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Service temporarily unavailable"),
            Self::Closed { .. } | Self::NotHttp(_) => (StatusCode::BAD_GATEWAY, "Bad gateway"),
            Self::Client(error) if is_malformed(error) => (StatusCode::BAD_REQUEST, "Bad request"),
            Self::Client(_) => (StatusCode::BAD_REQUEST, "The body of the request broke off"),
            Self::ClientStuck => (StatusCode::REQUEST_TIMEOUT, "Request timeout"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        }
    }
}

/// The answer where we ourselves are at fault.
pub(super) fn internal() -> Response<Body> {
    let mut answer = Response::new(Body::from("{\"error\":\"Internal proxy error\"}"));
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// Whether it is we who have no descriptor left, or no address to connect from.
fn is_short_of(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// The system has no more descriptors, this process has none: the same numbers on every Unix.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

fn is_malformed(error: &BodyError) -> bool {
    let read = error.downcast_ref::<http1::ReadError>();
    matches!(read, Some(http1::ReadError::Bad(http1::BadBody::Malformed(_))))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn eof() -> io::Error {
        io::ErrorKind::UnexpectedEof.into()
    }

    #[test]
    fn what_we_ourselves_are_short_of_is_not_held_against_the_upstream() {
        assert!(Failure::Connect(io::ErrorKind::ConnectionRefused.into()).is_upstreams());
        for code in [ENFILE, EMFILE] {
            assert!(!Failure::Connect(io::Error::from_raw_os_error(code)).is_upstreams());
        }
        assert!(!Failure::Connect(io::ErrorKind::AddrNotAvailable.into()).is_upstreams());
    }

    #[tokio::test]
    async fn every_failure_has_its_answer() {
        let left = Duration::from_millis(1200);
        let malformed = http1::ReadError::Bad(http1::BadBody::Malformed("x"));
        for (failure, status, error) in [
            (Failure::ConnectTimeout, 504, "Gateway timeout"),
            (Failure::HeadersTimeout, 504, "Gateway timeout"),
            (Failure::TotalTimeout, 504, "Gateway timeout"),
            (Failure::Stuck, 504, "Gateway timeout"),
            (Failure::Connect(eof()), 503, "Sidecar unavailable"),
            (Failure::Open { left }, 503, "Service temporarily unavailable"),
            (
                Failure::Closed {
                    has_begun: false,
                    source: eof(),
                },
                502,
                "Bad gateway",
            ),
            (
                Failure::Closed {
                    has_begun: true,
                    source: eof(),
                },
                502,
                "Bad gateway",
            ),
            (Failure::NotHttp("x"), 502, "Bad gateway"),
            (Failure::Client(malformed.into()), 400, "Bad request"),
            (Failure::Method, 405, "Method not allowed"),
        ] {
            let answer = failure.answer();
            assert_eq!(answer.status().as_u16(), status, "{failure:?}");
            assert_eq!(answer.headers()["content-type"], "application/json");
            let retry_after = answer
                .headers()
                .get("retry-after")
                .map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(
                retry_after.as_deref(),
                matches!(failure, Failure::Open { .. }).then_some("2")
            );
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, format!("{{\"error\":\"{error}\"}}"));
        }
        assert_eq!(internal().status(), 500);
    }
}
