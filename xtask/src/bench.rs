//! Benches: each measures its floor and the product in one run, interleaved.

use clap::{Args, Subcommand};

use crate::{
    setup,
    shell::{self, cargo, command, root},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// A hop: queue, handler, next queue; beside a bare program on the same storage with the same handler.
    Hop(Hop),
    /// Signals: lines over TCP into files; beside a bare program, rsyslog and syslog-ng.
    Signals(Options),
    /// Calls: a proxy's requests and calls of functions; beside bare programs, nginx, `HAProxy` and proxies for Node.
    Calls(Options),
}

/// What the hop takes.
#[derive(Debug, Args)]
pub(crate) struct Hop {
    /// What messages wait in; on `rabbitmq` also beside Celery and `FastStream`.
    #[arg(long, default_value = "sqlite", value_parser = ["sqlite", "rabbitmq"])]
    queue: String,
    #[command(flatten)]
    options: Options,
}

/// What every bench takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// `json` prints one object on standard output.
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    output: String,
    /// Rounds of each case; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Only the cases whose name begins with this.
    #[arg(long, default_value = "")]
    only: String,
}

pub(crate) fn run(bench: &Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Hop(Hop { queue, options }) => {
            if queue == "rabbitmq" {
                setup::broker()?;
                setup::environments()?;
            }
            measure("hop", &["--queue", queue], options)
        }
        Bench::Signals(options) => {
            setup::syslogs()?;
            measure("signals", &[], options)
        }
        Bench::Calls(options) => {
            setup::proxies()?;
            measure("calls", &[], options)
        }
    }
}

fn measure(name: &str, words: &[&str], options: &Options) -> anyhow::Result<()> {
    let build = [
        "build",
        "--release",
        "--quiet",
        "-p",
        "outrigger",
        "-p",
        "outrigger-benches",
    ];
    shell::run("release build", cargo(&build))?;
    let program = root().join("target/release").join(name);
    let rounds = options.rounds.to_string();
    let common = [
        "--output",
        &options.output,
        "--rounds",
        &rounds,
        "--only",
        &options.only,
    ];
    let words = [words, &common].concat();
    Err(shell::become_(name, command(&program.to_string_lossy(), &words)))
}
