//! What answers carry: bytes as they come, and trailers.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

/// Why a body broke off; the connection of whoever reads it is broken then, so that nobody takes a part for the whole.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request on its way on, or of an answer on its way back.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;
