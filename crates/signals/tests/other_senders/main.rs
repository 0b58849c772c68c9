//! Senders that do not speak our lines: programs that are there on any machine, against a plane of the test's own.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod otlp;
mod plane;
mod python;
mod syslog;
