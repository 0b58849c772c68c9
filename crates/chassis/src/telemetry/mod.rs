//! What the process says of itself: [`logs`] to stderr, [`Metrics`] to whoever scrapes the admin address, [`traces`] to
//! a collector.
//!
//! Metrics of a plane live with the plane; here is only the registry that they share and what is true of any process.

mod in_full;
pub mod logs;
mod metrics;
mod otlp;
mod process;
mod reports;
mod samples;
pub mod traces;

pub use in_full::in_full;
pub use metrics::{Exposition, Metrics};
pub use reports::{Progress, Report, ReportInbox, Reports};
pub use samples::{Sample, SampleKind};
