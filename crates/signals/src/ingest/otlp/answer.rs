//! What a sender is answered, in the encoding that it spoke (OTLP specification, "OTLP/HTTP Response").
//!
//! Pure. Every status but 200 carries a `google.rpc.Status`; 200 says how many records were not taken, where that is so.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::json;

use super::takes::Signal;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

/// Records of a request that were not taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) records: usize,
    pub(super) why: String,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// The answer.
    pub(super) fn answer(&self, encoding: Encoding) -> Response<Full<Bytes>> {
        let code = code(self.status);
        let body = match encoding {
            Encoding::Json => json!({ "code": code, "message": self.message }).to_string().into(),
            Encoding::Protobuf => {
                let mut body = Vec::new();
                prost::encoding::int32::encode(1, &code, &mut body);
                prost::encoding::string::encode(2, &self.message, &mut body);
                body.into()
            }
        };
        let mut response = response(encoding, body);
        *response.status_mut() = self.status;
        let more = match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, "1")),
            StatusCode::METHOD_NOT_ALLOWED => Some((ALLOW, "POST")),
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Bearer")),
            _ => None,
        };
        if let Some((name, value)) = more {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// The answer to a request that was taken.
pub(super) fn taken(signal: Signal, encoding: Encoding, rejected: &Rejected) -> Response<Full<Bytes>> {
    if rejected.records == 0 {
        let body = match encoding {
            Encoding::Json => Bytes::from_static(b"{}"),
            Encoding::Protobuf => Bytes::new(),
        };
        return response(encoding, body);
    }
    let body = match encoding {
        Encoding::Json => {
            // 64-bit numbers are texts in protobuf's JSON.
            let count = rejected.records.to_string();
            json!({ "partialSuccess": { signal.rejected(): count, "errorMessage": rejected.why } })
                .to_string()
                .into()
        }
        Encoding::Protobuf => signal.partial(rejected).into(),
    };
    response(encoding, body)
}

fn response(encoding: Encoding, body: Bytes) -> Response<Full<Bytes>> {
    let media = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    let mut response = Response::new(Full::new(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// The code of `google.rpc` that says the same.
fn code(status: StatusCode) -> i32 {
    match status.as_u16() {
        400 | 413 | 415 => 3,
        401 => 16,
        404 => 5,
        405 => 12,
        408 => 4,
        429 => 8,
        503 => 14,
        _ => 2,
    }
}
