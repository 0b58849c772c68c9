//! The telemetry plane: programs send lines, and each line reaches the backends that the rules name.
//!
//! ```text
//! ingest: split, read, sort  ->  routing (pure)  ->  batch: one bounded buffer a backend  ->  backends
//! ```
//!
//! The one rule: a line that was taken is either in a backend, in a buffer, or counted as dropped with its reason. Nothing
//! here grows without bound, and nothing waits for a backend that fails unless that was asked for.

mod admin;
mod backends;
mod batch;
mod buffered;
pub mod config;
mod hub;
pub mod ingest;
mod metrics;
mod name;
mod plane;
mod routing;
mod syslog;
mod tail;
mod traces;

pub use config::Signals;
pub use plane::{Plane, PlaneError};

/// Adds the string formats that the plane's schema names.
pub fn formats(formats: &mut chassis::config::Formats) {
    config::formats(formats);
}
