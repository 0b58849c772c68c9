//! How a bench runs: so many rounds over all cases, then what was found.

use std::{
    env, fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};

use crate::{
    case::{Case, Stage},
    report::{self, Report},
};

/// What every bench takes.
#[derive(Debug, Args)]
pub struct Options {
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Rounds of each case; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Only the cases whose name begins with this.
    #[arg(long, default_value = "")]
    pub only: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// How long anything may take that takes a moment.
pub const PATIENCE: Duration = Duration::from_secs(30);

impl Options {
    /// Measures the cases that are wanted and prints what was found; no round begins that might end after `limit`.
    ///
    /// # Errors
    /// A case failed, or there is none.
    pub fn measure(
        &self,
        mut report: Report,
        mut cases: Vec<Box<dyn Case>>,
        stage: &Stage,
        limit: Duration,
    ) -> anyhow::Result<()> {
        if report::file_system(&stage.folder) == "tmpfs" {
            eprintln!(
                "warning: {} is in memory, so nothing here is durable",
                stage.folder.display()
            );
        }
        cases.retain(|case| case.names().iter().any(|name| name.starts_with(&self.only)));
        ensure!(!cases.is_empty(), "no case begins with `{}`", self.only);
        report.rounds = rounds(&mut cases, stage, self.rounds, limit)?;
        report.rows = cases.iter().flat_map(|case| case.rows()).collect();
        report.rows.retain(|row| row.case.starts_with(&self.only));
        match self.output {
            Format::Text => print!("{}", report.table()),
            Format::Json => println!("{}", serde_json::to_string(&report)?),
        }
        Ok(())
    }
}

/// As many rounds as were asked for and as the time allows; how many that was.
fn rounds(cases: &mut [Box<dyn Case>], stage: &Stage, asked: u32, limit: Duration) -> anyhow::Result<u32> {
    let begun = Instant::now();
    for round in 0..asked {
        for case in &mut *cases {
            let names = case.names().join(", ");
            let at = Instant::now();
            let found = case.round(stage, round).with_context(|| names.clone())?;
            let took = at.elapsed().as_secs_f64();
            eprintln!("round {} of {asked}: {names}: {found} ({took:.1} s)", round + 1);
        }
        let done = round + 1;
        if done < asked && begun.elapsed() + begun.elapsed() / done > limit {
            eprintln!("stopping after {done} rounds: another would take too long");
            return Ok(done);
        }
    }
    Ok(asked)
}

/// Where temporary folders go: beside the build, and so on the disk of the checkout.
pub fn folder() -> anyhow::Result<PathBuf> {
    let program = env::current_exe()?;
    let build = program.parent().and_then(|folder| folder.parent());
    let folder = build.context("the bench is not in a build folder")?.join("tmp");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A program that was built beside this one.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let program = env::current_exe()?.with_file_name(name);
    let missing = || {
        format!(
            "{} is not there: build it first, as `cargo xtask bench` does",
            program.display()
        )
    };
    ensure!(program.is_file(), missing());
    Ok(program)
}
