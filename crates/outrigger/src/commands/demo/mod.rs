//! `outrigger demo`: the tour. Real images through three actors on a fresh queue, and one that is corrupt.
//!
//! It is the product at work, not a play: the same wiring as `up`, real handler processes, a durable queue in a
//! temporary folder. What it prints was counted and measured in that run.

mod material;
mod report;
mod tour;

use std::{collections::BTreeMap, ffi::OsString, process::ExitCode};

use anyhow::Context;

use crate::cli::{Demo, Format};

/// Runs the tour. Exit 0 when every image came out and the corrupt one was explained, else 1.
pub async fn demo(args: &Demo, environment: BTreeMap<OsString, OsString>) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new()
        .prefix("outrigger-demo-")
        .tempdir()
        .context("cannot make a temporary folder for the demo")?;
    material::unpack(folder.path())?;
    if args.output.output == Format::Text {
        report::introduce(folder.path());
    }
    let tally = tour::run(folder.path(), environment).await?;
    let kept = if args.keep { Some(folder.keep()) } else { None };
    match args.output.output {
        Format::Text => report::print(&tally, kept.as_deref())?,
        Format::Json => report::print_json(&tally, kept.as_deref())?,
    }
    Ok(if tally.complete() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
