//! The message on a queue: its fields, its route and what becomes of them along the way.
//!
//! The rule: an [`Envelope`] keeps the bytes that came. An output is those bytes with a few fields edited, so the
//! dialect, unknown fields, spacing and the payload survive byte for byte. Whoever has the queue decides where it goes.

mod compose;
mod decode;
mod edit;
mod replay;

#[cfg(test)]
mod tests;

pub use compose::{Draft, buried};
pub(crate) use decode::{ACTORS, CURRENT, FIELDS, HEADERS, ID, JOB_ID, ROUTE, ROUTE_FIELDS, STEPS};
pub use decode::{Envelope, Flaw, InvalidEnvelope};
pub use edit::RouteRefused;
pub use replay::{Replay, ReplayError};
