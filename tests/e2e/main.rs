//! What becomes of messages, seen from outside: the real binary with real handlers.
//!
//! The rows and rules of the protocol's table of outcomes, its handler protocol, and the life of a sidecar.

#[path = "../harness/mod.rs"]
mod harness;

mod asya;
mod calls;
mod concurrency;
mod deadlines;
mod dialects;
mod ends;
mod events;
mod failures;
mod handlers_page;
mod http;
mod invalid;
mod java_cpp;
mod lost;
mod metrics;
mod outcomes;
mod pods;
mod processes;
mod replies;
mod retries;
mod serving;
mod sharing;
mod signals;
mod signals_traces;
mod tracing;
mod typescript;
