//! Outrigger: runs beside an application and takes the infrastructure out of it.
//!
//! The binary holds the command line and the wiring, nothing else: `cli` says what can be asked for, `commands` does
//! it, `wiring` puts the planes together, `exit` is the one place that knows how the program ends.

#![expect(
    unreachable_pub,
    reason = "a binary exports nothing: `pub` says here that another module uses it"
)]

mod cli;
mod commands;
mod config;
mod exit;
mod human;
mod open;
mod output;
mod progress;
mod table;
mod terminal;
mod wiring;
mod words;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use chassis::{
    config::{Loaded, process_environment},
    telemetry::logs,
};
use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::{
    cli::{Cli, Command},
    config::Root,
    exit::Code,
    wiring::Mode,
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A help text whose reader has gone away is no reason to fail.
            let _ = error.print();
            return if error.use_stderr() {
                Code::Usage.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match act(cli) {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}

fn act(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli {
        config,
        queue_url,
        command,
    } = cli;
    let mut environment = process_environment();
    environment.extend(queue_url.map(|url| (config::QUEUE_FLAG.to_owned(), url)));
    match command {
        Command::Init(args) => commands::init(&args),
        Command::Schema => commands::schema(),
        Command::Completions(args) => commands::completions(&args),
        Command::Conformance(args) => runtime(WORKERS)?.block_on(commands::conformance(&args)),
        Command::Exec(args) => Ok(commands::exec(args)),
        Command::Check(args) => commands::check(args.file.as_deref().or(config.as_deref()), &environment, args.output),
        Command::Up(args) => serve(args, config, &environment, Mode::Up),
        Command::Run(args) => serve(args, config, &environment, Mode::Run),
        Command::Demo(args) => runtime(WORKERS)?.block_on(commands::demo::demo(&args, std::env::vars_os().collect())),
        Command::Trace(args) => watching(config.as_deref(), &environment, &args.admin, async |admin| {
            commands::watch::trace(&args, &admin).await
        }),
        Command::Tail(args) => watching(config.as_deref(), &environment, &args.admin, async |admin| {
            commands::watch::tail(&args, &admin).await
        }),
        Command::Top(args) => watching(config.as_deref(), &environment, &args.admin, async |admin| {
            commands::watch::top(&args, &admin).await
        }),
        Command::Send(args) => on_queue(config.as_deref(), &environment, async |loaded| {
            commands::send(&args, loaded).await
        }),
        Command::Queues(output) => on_queue(config.as_deref(), &environment, async |loaded| {
            commands::queues(output, loaded).await
        }),
        Command::Take(args) => on_queue(config.as_deref(), &environment, async |loaded| {
            commands::take(&args, loaded).await
        }),
        Command::Dead(command) => on_queue(config.as_deref(), &environment, async |loaded| {
            commands::dead::dead(&command, loaded).await
        }),
    }
}

/// Runs a command that comes, works on the queue, and goes.
fn on_queue(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
    command: impl AsyncFnOnce(&Loaded<Root>) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let loaded = load(file, environment)?;
    logs::init("warn", logs::Format::Text)?;
    let runtime = runtime(WORKERS)?;
    let result = runtime.block_on(command(&loaded));
    runtime.shutdown_timeout(LAST_MOMENT);
    result
}

/// Runs a command that looks at a running process, on the address that is given or else configured.
fn watching(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
    given: &cli::Admin,
    command: impl AsyncFnOnce(commands::watch::Admin) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let address = match &given.address {
        Some(address) => address.clone(),
        None => load(file, environment)?.value.admin_address().0,
    };
    let runtime = runtime(SIDECAR_WORKERS)?;
    let result = runtime.block_on(command(commands::watch::Admin::new(&address)?));
    runtime.shutdown_timeout(LAST_MOMENT);
    result
}

/// Runs `up` or `run`.
fn serve(
    args: cli::Run,
    config: Option<PathBuf>,
    environment: &BTreeMap<String, String>,
    mode: Mode,
) -> anyhow::Result<ExitCode> {
    let loaded = load(args.file.or(config).as_deref(), environment)?;
    if mode == Mode::Up {
        warn(&config::survey(&loaded, environment));
    }
    logs::init(&loaded.value.log.level, loaded.value.log.format)?;
    let only = config::chosen_actor(environment, &loaded.value)
        .filter(|_| mode == Mode::Run)
        .map(str::to_owned);
    let grace = args.grace.map(chassis::config::Duration::get);
    let handlers = std::env::vars_os().collect();
    supervise::hear_signals();
    supervise::raise_descriptor_limit();
    let runtime = runtime(match mode {
        Mode::Up => WORKERS,
        Mode::Run => SIDECAR_WORKERS,
    })?;
    let result = runtime.block_on(commands::up::serve(&loaded, mode, only, grace, handlers));
    runtime.shutdown_timeout(LAST_MOMENT);
    result
}

fn load(file: Option<&Path>, environment: &BTreeMap<String, String>) -> anyhow::Result<Loaded<Root>> {
    let loaded = config::load(file, environment)?;
    warn(&loaded.warnings);
    Ok(loaded)
}

fn warn(report: &chassis::config::Report) {
    eprint!("{}", report.render(terminal::stderr_colour()));
}

/// A small runtime: an idle sidecar costs little.
fn runtime(workers: usize) -> anyhow::Result<Runtime> {
    let built: io::Result<Runtime> = Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    built.context("cannot start the runtime")
}

/// For everything on a machine.
const WORKERS: usize = 2;
/// For the sidecar of one application: a second worker is woken for every task that the first could have begun, which costs
/// a hop more than it gains.
const SIDECAR_WORKERS: usize = 1;

/// What still runs after a command is done is not waited for longer than this.
const LAST_MOMENT: Duration = Duration::from_secs(1);
