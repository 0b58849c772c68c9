//! The functions on a Unix socket: JSON objects in, JSON objects out, many calls in flight on one connection.
//!
//! ```text
//! bytes  ->  splitter (pure)  ->  request (pure)  ->  a call of its own  ->  answer (pure)  ->  the one who writes
//! ```
//!
//! The one rule: every object that came whole is answered once, whatever becomes of the others.

mod answer;
mod call;
mod connection;
mod listener;
mod request;
mod splitter;
mod turns;

pub(crate) use listener::Listener;
