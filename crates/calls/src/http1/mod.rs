//! HTTP/1 on the wire: read strictly, written as it was read. Used towards clients and towards upstreams.
//!
//! ```text
//! scan (where a head ends) -> request | reply (what it says) -> framing (how long its body is)
//! reader (bytes in) -> incoming (one body)          writer (bytes out)
//! ```
//!
//! The one rule: what two readers could take for different things is refused, never mended. All but `reader`, `incoming` and
//! `writer` are pure.

mod chunked;
mod fields;
mod framing;
mod incoming;
mod reader;
mod reply;
mod request;
mod scan;
mod spelling;
mod writer;

pub(crate) use chunked::Chunked;
pub(crate) use fields::{Fields, has_token, tokens};
pub(crate) use framing::{BadBody, Decoded, Decoder};
pub(crate) use incoming::{Incoming, ReadError};
pub(crate) use reader::{HeadError, Reader};
pub(crate) use reply::Reply;
pub(crate) use request::{Head, Refusal, check_target, is_host};
pub(crate) use scan::{LineEnd, Scan, Scanner, TooLarge};
pub(crate) use spelling::Spelling;
pub(crate) use writer::{BodyForm, Writer, write_fields};

/// The most that a head may have, in bytes.
pub(crate) const MAX_HEAD: usize = 64 * 1024;
/// The most fields that a head or the end of a body may have.
pub(crate) const MAX_FIELDS: usize = 256;
/// The longest target of a request, in bytes.
pub(crate) const MAX_TARGET: usize = 16 * 1024;
