//! The listeners and the proxy, byte by byte: clients and upstreams that say exactly what they are told, the product between.
#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod common;
mod failing;
mod http2;
mod listening;
mod passing;
mod smuggling;
mod sparing;
mod streaming;
mod telling;
