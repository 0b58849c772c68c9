//! `hop`: a message from one queue through a handler to the next queue, beside what a bare program does with the same
//! storage and the same handler: `SQLite` in a file, or `RabbitMQ` (see [`rabbitmq`]).
//!
//! Rounds go over all cases, so a busy minute of the machine touches all of them; within a case the floor and the product
//! take turns in who is first. What a figure is stands with its case: [`embedded`], [`latency`], [`idle`], [`ready`],
//! [`payload`]; what the floor does in [`floor`]. The handler of every case is `hop-echo`.
//!
//! Everything lies in temporary folders beside the build, on the disk of the checkout. Where processes are pinned, the
//! floor is in the same way: see [`pin`].

mod case;
mod echo;
mod embedded;
mod figures;
mod floor;
mod idle;
mod latency;
mod payload;
mod pin;
mod product;
mod rabbitmq;
mod ready;
mod report;

use std::{
    env, fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};

use case::{Case, Stage};
use embedded::Embedded;
use pin::Pins;
use report::Report;

/// Measures a hop.
#[derive(Debug, Parser)]
struct Options {
    /// What messages wait in.
    #[arg(long, value_enum, default_value_t = Storage::Sqlite)]
    queue: Storage,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Rounds of each case; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Only the cases whose name begins with this.
    #[arg(long, default_value = "")]
    only: String,
    /// Leave it to the system where each side runs, the floor's too.
    #[arg(long)]
    unpinned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Storage {
    Sqlite,
    Rabbitmq,
}

impl Storage {
    /// No round begins that might end after this.
    fn limit(self) -> Duration {
        match self {
            Self::Sqlite => Duration::from_secs(330),
            // Peers take their time to start.
            Self::Rabbitmq => Duration::from_mins(11),
        }
    }
}

/// How long anything may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let pins = if options.unpinned { Pins::NONE } else { Pins::apart() };
    let stage = Stage::new(folder()?, pins);
    let mut report = Report::new(&stage);
    if report::file_system(&stage.folder) == "tmpfs" {
        eprintln!(
            "warning: {} is in memory, so nothing here is durable",
            stage.folder.display()
        );
    }
    let mut cases = match options.queue {
        Storage::Sqlite => cases(&options.only),
        Storage::Rabbitmq => rabbitmq::cases(&stage, &options.only)?,
    };
    if options.queue == Storage::Rabbitmq {
        report.machine = format!("{}; {}", report.machine, rabbitmq::versions()?);
    }
    ensure!(!cases.is_empty(), "no case begins with `{}`", options.only);
    report.rounds = rounds(&mut cases, &stage, options.rounds, options.queue.limit())?;
    report.rows = cases.iter().flat_map(|case| case.rows()).collect();
    report.rows.retain(|row| row.case.starts_with(&options.only));
    match options.output {
        Format::Text => print!("{}", report.table()),
        Format::Json => println!("{}", serde_json::to_string(&report)?),
    }
    Ok(())
}

fn cases(only: &str) -> Vec<Box<dyn Case>> {
    let mut cases: Vec<Box<dyn Case>> = vec![
        Box::new(Embedded::new("embedded-1", 1, 1)),
        Box::new(Embedded::new("embedded-64", 64, 1)),
        Box::new(Embedded::new("embedded-64-processes-2", 64, 2)),
        Box::new(latency::Latency::default()),
        Box::new(idle::Idle::default()),
        Box::new(ready::Ready::default()),
        Box::new(payload::Payload::default()),
    ];
    cases.retain(|case| case.names().iter().any(|name| name.starts_with(only)));
    cases
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
fn folder() -> anyhow::Result<PathBuf> {
    let program = env::current_exe()?;
    let build = program.parent().and_then(|folder| folder.parent());
    let folder = build.context("the bench is not in a build folder")?.join("tmp");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A program that was built beside this one.
fn program(name: &str) -> anyhow::Result<PathBuf> {
    let program = env::current_exe()?.with_file_name(name);
    let missing = || {
        format!(
            "{} is not there: build it first, as `cargo xtask bench hop` does",
            program.display()
        )
    };
    ensure!(program.is_file(), missing());
    Ok(program)
}
