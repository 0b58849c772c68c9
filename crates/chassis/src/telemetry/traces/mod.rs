//! Spans: where one begins, whether it is recorded, and what is told of it.
//!
//! The one rule: tracing costs a message nothing that it could wait for. A place in a trace is made by arithmetic
//! alone, and a span that is finished is handed to the exporter if it has room, else dropped and counted.
//!
//! A plane says what its spans are; here is only what is true of any.

mod sampler;
mod span;
mod tracer;

pub use sampler::{BadSampler, Sampler};
pub use span::{Event, Span, SpanKind, Value, cut};
pub use tracer::Tracer;
