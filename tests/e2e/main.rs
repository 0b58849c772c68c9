//! What becomes of messages, seen from outside: the real binary with real handlers.

#[path = "../harness/mod.rs"]
mod harness;
