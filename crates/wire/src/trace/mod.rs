//! Where a message stands in its trace, as W3C Trace Context has it: [`TraceContext`].
//!
//! The rule: what breaks the specification is as if it were not there. A bad `traceparent` means that there is no
//! context at all, a bad `tracestate` costs itself alone. Chance is passed in.

mod context;
mod ids;
mod state;

#[cfg(test)]
mod tests;

pub use context::{Sampling, TraceContext};
pub use ids::{SpanId, TraceId};
