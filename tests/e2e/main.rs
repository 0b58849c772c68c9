//! What becomes of messages, seen from outside: the real binary with real handlers.
//!
//! The rows and rules of the protocol's table of outcomes, its handler protocol, and the life of a sidecar.

#[path = "../harness/mod.rs"]
mod harness;

mod asya;
mod concurrency;
mod deadlines;
mod dialects;
mod ends;
mod events;
mod failures;
mod http;
mod invalid;
mod lost;
mod outcomes;
mod pods;
mod processes;
mod replies;
mod retries;
mod serving;
mod sharing;
