//! Why a request is not answered with what it asks for, as statuses and headers say it.

use std::borrow::Cow;

use http::{
    Response, StatusCode,
    header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};

use super::{envelope::Envelope, service::json};
use crate::{Body, functions::CallError, reply};

/// Why a request is not answered with what it asks for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Call(Box<CallError>),
    #[error("a token is asked for: send it as `Authorization: Bearer TOKEN`")]
    Unauthorized,
    #[error("this path is asked with {}", allow.replace(", ", " or "))]
    Method { allow: Cow<'static, str> },
    #[error("the body has to be JSON: send it with `Content-Type: application/json`")]
    Media,
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}

impl Refusal {
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Call(error) => error.code(),
            Self::Unauthorized => "unauthorized",
            Self::Method { .. } => "method_not_allowed",
            Self::Media => "unsupported_media_type",
        }
    }

    /// The error of the call, where it came to that.
    pub(super) fn call(&self) -> Option<&CallError> {
        match self {
            Self::Call(error) => Some(error),
            _ => None,
        }
    }

    /// The status; `domain` is that of an error in the function's own words.
    fn status(&self, domain: StatusCode) -> StatusCode {
        let error = match self {
            Self::Unauthorized => return StatusCode::UNAUTHORIZED,
            Self::Method { .. } => return StatusCode::METHOD_NOT_ALLOWED,
            Self::Media => return StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Call(error) => &**error,
        };
        match error {
            CallError::BadRequest { .. } | CallError::BadArguments { .. } | CallError::Canceled => {
                StatusCode::BAD_REQUEST
            }
            CallError::NotFound { .. } => StatusCode::NOT_FOUND,
            CallError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            CallError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            CallError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            CallError::BadReply { .. } => StatusCode::BAD_GATEWAY,
            CallError::Domain { .. } => domain,
            CallError::Failed { .. } | CallError::BrokenContract { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer that it is.
    pub(super) fn into_response(self, domain: StatusCode) -> Response<Body> {
        let mut response = json(self.status(domain), reply::line(&Envelope::refusal(&self)));
        let headers = response.headers_mut();
        match &self {
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Method { allow } => {
                headers.extend(HeaderValue::from_str(allow).ok().map(|allow| (ALLOW, allow)));
            }
            Self::Call(error) => {
                let wait = error.retry_after().map(|wait| HeaderValue::from(wait.as_secs()));
                headers.extend(wait.map(|wait| (RETRY_AFTER, wait)));
            }
            Self::Media => {}
        }
        response
    }
}
