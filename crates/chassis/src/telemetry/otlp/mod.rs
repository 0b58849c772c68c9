//! Spans on their way to a collector: OTLP over HTTP, in protobuf.
//!
//! The one rule: the collector's pace is its own. Everything between a message and the collector is bounded, and what
//! finds no room is dropped, counted, and said once.
//!
//! [`Settings`] reads the `OTEL_*` variables as the specification names them.

mod client;
mod endpoint;
mod exporter;
mod message;
mod outbox;
mod settings;
mod tls;
mod variables;

pub(super) use exporter::Exporter;
pub(super) use outbox::{Counts, Outbox};
pub(super) use settings::Settings;
