//! Commands that look at the telemetry plane of a running process, through its admin address: `trace`, `tail`, `top`.
//!
//! The one rule: what comes from there is shown to a terminal only without its control characters.

mod admin;
mod bars;
mod figures;
mod line;
mod reading;
mod samples;
mod tail;
mod top;
mod trace;

pub use admin::Admin;
pub use tail::tail;
pub use top::top;
pub use trace::trace;
