//! The traces of the last hour: spans from every sender, merged as their lines come, and shown as trees.
//!
//! The one rule: what is kept here is bounded in time and in bytes, and nothing waits for it.

mod json;
mod metrics;
mod span;
mod store;
mod tree;

pub(crate) use json::write;
pub(crate) use metrics::TraceMetrics;
pub(crate) use span::{Span, SpanLine};
pub(crate) use store::Traces;
pub(crate) use tree::Tree;
