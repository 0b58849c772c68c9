//! `outrigger completions`: the completion script of a shell.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::{
    cli::{Cli, Completions},
    output,
};

/// Prints the script.
pub fn completions(args: &Completions) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "outrigger", &mut text);
    output::print(text)?;
    Ok(ExitCode::SUCCESS)
}
