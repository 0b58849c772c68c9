//! `hop`: a message from one queue through a handler to the next queue, beside what a bare program does with the same
//! storage and the same handler: `SQLite` in a file, or `RabbitMQ` (see [`rabbitmq`]).
//!
//! Rounds go over all cases, so a busy minute of the machine touches all of them; within a case the floor and the product
//! take turns in who is first. What a figure is stands with its case: [`embedded`], [`latency`], [`idle`], [`ready`],
//! [`payload`]; what the floor does in [`floor`]. The handler of every case is `hop-echo`.
//!
//! Everything lies in temporary folders beside the build, on the disk of the checkout. Where processes are pinned, the
//! floor is in the same way: see [`pin`].

mod echo;
mod embedded;
mod floor;
mod idle;
mod latency;
mod payload;
mod product;
mod rabbitmq;
mod ready;

use std::time::Duration;

use benches::{
    case::{self, Case, Stage},
    figures, interrupt,
    pin::{self, Pins},
    process,
    report::{self, Report},
    run::{self, PATIENCE, program},
};
use clap::{Parser, ValueEnum};

use embedded::Embedded;

/// Measures a hop.
#[derive(Debug, Parser)]
struct Options {
    /// What messages wait in.
    #[arg(long, value_enum, default_value_t = Storage::Sqlite)]
    queue: Storage,
    #[command(flatten)]
    run: run::Options,
    /// Leave it to the system where each side runs, the floor's too.
    #[arg(long)]
    unpinned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Storage {
    Sqlite,
    Rabbitmq,
}

/// Who is pinned.
const PINNED: &str = "one in flight and payload-100mb: product and floor on cpu {asker}, handler on cpu {handler}; the rest \
                      not pinned";

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

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    interrupt::takes_all_along()?;
    let pins = Pins::unless(options.unpinned, PINNED);
    let stage = Stage::new(run::folder()?, pins);
    let mut report = Report::new("hop", &stage);
    let cases = match options.queue {
        Storage::Sqlite => cases(),
        Storage::Rabbitmq => rabbitmq::cases(&stage, &options.run.only)?,
    };
    if options.queue == Storage::Rabbitmq {
        report.machine = format!("{}; {}", report.machine, rabbitmq::versions()?);
    }
    options.run.measure(report, cases, &stage, options.queue.limit())
}

fn cases() -> Vec<Box<dyn Case>> {
    vec![
        Box::new(Embedded::new("embedded-1", 1, 1)),
        Box::new(Embedded::new("embedded-64", 64, 1)),
        Box::new(Embedded::new("embedded-64-processes-2", 64, 2)),
        Box::new(latency::Latency::default()),
        Box::new(idle::Idle::default()),
        Box::new(ready::Ready::default()),
        Box::new(payload::Payload::default()),
    ]
}
