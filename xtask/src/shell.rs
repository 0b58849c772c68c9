//! Runs other programs, saying which and stopping at the first that fails.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, ensure};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is in the workspace")
        .to_owned()
}

/// `cargo` with these words, in the workspace.
pub(crate) fn cargo(words: &[&str]) -> Command {
    command("cargo", words)
}

/// Any program with these words, in the workspace.
pub(crate) fn command(program: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words).current_dir(root());
    command
}

/// Runs it under a heading, and fails with its words when it does.
pub(crate) fn run(heading: &str, mut command: Command) -> anyhow::Result<()> {
    eprintln!("\n== {heading}");
    let began = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", in_words(&command)))?;
    ensure!(status.success(), "{heading} failed: {} ({status})", in_words(&command));
    eprintln!("== {heading}: {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Runs it in the place of this process, under a heading: signals reach it. Comes back only with why that cannot be.
pub(crate) fn become_(heading: &str, mut command: Command) -> anyhow::Error {
    eprintln!("\n== {heading}");
    let error = command.exec();
    anyhow::Error::new(error).context(format!("cannot run {}", in_words(&command)))
}

/// What it printed on standard output.
pub(crate) fn output(mut command: Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", in_words(&command)))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} failed ({}): {errors}",
        in_words(&command),
        output.status
    );
    String::from_utf8(output.stdout).with_context(|| format!("{} printed no text", in_words(&command)))
}

fn in_words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
