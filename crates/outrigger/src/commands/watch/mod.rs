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

use std::{future::Future, process::ExitCode};

use tokio::signal::unix::{SignalKind, signal};

pub use admin::Admin;
pub use tail::tail;
pub use top::top;
pub use trace::trace;

/// Watches until there is no more to see, or somebody presses Ctrl-C, which is a good end at any moment.
async fn until_ctrl_c(watch: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    // Heard from here on: one that was listened for anew in each round would be lost between two of them.
    let mut interrupts = signal(SignalKind::interrupt())?;
    tokio::select! {
        biased;
        _ = interrupts.recv() => Ok(ExitCode::SUCCESS),
        seen = watch => seen,
    }
}
