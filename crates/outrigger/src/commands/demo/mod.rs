//! `outrigger demo`: the tour. Real images through three actors on a fresh queue, and one that is corrupt.
//!
//! It is the product at work, not a play: the same wiring as `up`, real handler processes, a durable queue in a
//! temporary folder. What it prints was counted and measured in that run.

mod material;
mod report;
mod tour;

use std::{collections::BTreeMap, ffi::OsString, process::ExitCode, time::Duration};

use anyhow::Context;
use chassis::lifecycle::{Drain, signals};

use crate::{
    cli::{Demo, Format},
    exit::Code,
};

/// Runs the tour. Exit 0 when every image came out and the corrupt one was explained, 75 when it was interrupted.
pub async fn demo(args: &Demo, environment: BTreeMap<OsString, OsString>) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new()
        .prefix("outrigger-demo-")
        .tempdir()
        .context("cannot make a temporary folder for the demo")?;
    material::unpack(folder.path())?;
    if args.output.output == Format::Text {
        report::introduce(folder.path());
    }
    let drain = Drain::new();
    let _signals = signals::follow(drain.clone(), Duration::ZERO)?;
    let Some(tally) = tour::run(folder.path(), environment, &drain).await? else {
        return Ok(Code::Unfinished.into());
    };
    let kept = if args.keep { Some(folder.keep()) } else { None };
    match args.output.output {
        Format::Text => report::print(&tally, kept.as_deref())?,
        Format::Json => report::print_json(&tally, kept.as_deref())?,
    }
    Ok(if tally.complete() {
        ExitCode::SUCCESS
    } else {
        Code::Software.into()
    })
}
