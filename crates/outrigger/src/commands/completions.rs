//! `outrigger completions`: the completion script of a shell.

use std::process::ExitCode;

use clap::{Command, CommandFactory};

use crate::{
    cli::{Cli, Completions},
    output,
};

/// Prints the script.
pub fn completions(args: &Completions) -> anyhow::Result<ExitCode> {
    let whole = Cli::command();
    // Without the hidden commands, which the generators would offer.
    let shown = whole.get_subcommands().filter(|command| !command.is_hide_set());
    let mut command = Command::new("outrigger")
        .args(whole.get_arguments())
        .subcommands(shown.cloned());
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "outrigger", &mut text);
    output::print(text)?;
    Ok(ExitCode::SUCCESS)
}
