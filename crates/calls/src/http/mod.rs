//! The functions over HTTP, whatever listener a request came by.
//!
//! ```text
//! request  ->  preflight?  ->  admitted?  ->  own path, or a function's  ->  answer in the envelope, or a stream of lines
//! ```
//!
//! The one rule: the status is that of the whole answer. Once the first line of a stream is out, only its last line says how
//! the call ended.

mod access;
mod cors;
mod envelope;
mod media;
mod patience;
mod refusal;
mod service;
mod stream;

pub use access::{Access, AccessError};
pub use service::{About, Service};

pub(crate) use cors::{CrossOrigin, asks_before};
pub(crate) use refusal::Refusal;
pub(crate) use service::turn_away;
