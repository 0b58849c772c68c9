//! OTLP over HTTP: logs, metrics and traces of programs that speak OpenTelemetry, as lines of our own.
//!
//! ```text
//! server (hyper)  ->  body: limits, gzip, protobuf or JSON  ->  logs, metrics, traces (pure)  ->  Inlet
//! ```
//!
//! The one rule: a request is taken whole or refused whole; a record of which no line can be made is told to the sender.

mod answer;
mod body;
mod logs;
mod metrics;
mod origin;
mod server;
mod takes;
mod traces;

pub(crate) use server::{Otlp, Terms};
