//! `outrigger send`: work into a route's first queue.
//!
//! Payloads and envelopes keep their bytes. Of a file every line is checked before the first is put; standard input is
//! put in batches, and a line that cannot be sent is named with how many were put before it. Nothing is skipped in
//! silence.

mod command;
mod form;
mod lines;
mod outbox;

pub use command::send;
