//! The one developer tool: `cargo xtask setup | services | test | bench | generate`.

mod bench;
mod generate;
mod services;
mod setup;
mod shell;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "The one developer tool",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what the tests need and is missing, from Debian's packages and Python's index.
    Setup,
    /// A private `RabbitMQ` and a private `PostgreSQL`, for tests and for trying things out.
    #[command(subcommand)]
    Services(services::Services),
    /// Everything that must hold: formatting, lints, every test, generated files unchanged.
    Test(test::Options),
    /// Measure floor and product in one run, interleaved.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Write the generated references anew.
    Generate(generate::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Setup => setup::setup()?,
        Command::Services(services) => return services::run(&services),
        Command::Test(options) => test::test(&options)?,
        Command::Bench(bench) => bench::run(&bench)?,
        Command::Generate(options) => generate::generate(&options)?,
    }
    Ok(ExitCode::SUCCESS)
}
