//! The references that are written by the program itself, and the check that they are up to date.

use std::{fmt::Write, fs};

use anyhow::{Context, bail};
use clap::Args;

use crate::shell::{cargo, command, output, root, run};

/// What `generate` takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Change nothing, and fail where something would change.
    #[arg(long)]
    check: bool,
}

/// A file, and what makes it.
struct Generated {
    path: &'static str,
    make: fn() -> anyhow::Result<String>,
}

const FILES: &[Generated] = &[
    Generated {
        path: "docs/reference/outrigger.schema.json",
        make: || outrigger(&["schema"]),
    },
    Generated {
        path: "docs/reference/cli.md",
        make: cli,
    },
];

const COMMANDS: &[&[&str]] = &[
    &[],
    &["init"],
    &["up"],
    &["run"],
    &["send"],
    &["queues"],
    &["take"],
    &["dead"],
    &["dead", "ls"],
    &["dead", "show"],
    &["dead", "redrive"],
    &["dead", "drop"],
    &["trace"],
    &["tail"],
    &["top"],
    &["check"],
    &["schema"],
    &["conformance"],
    &["demo"],
    &["completions"],
];

pub(crate) fn generate(options: &Options) -> anyhow::Result<()> {
    if options.check {
        return check();
    }
    run("build", cargo(&["build", "--quiet", "-p", "outrigger"]))?;
    for file in FILES {
        let path = root().join(file.path);
        fs::create_dir_all(path.parent().expect("a file is in a folder"))?;
        fs::write(&path, (file.make)()?).with_context(|| format!("cannot write {}", file.path))?;
        eprintln!("wrote {}", file.path);
    }
    // The page of metrics is compared by a test of the running program, which can write it too.
    let mut metrics = cargo(&["test", "--quiet", "-p", "outrigger", "--test", "e2e", "promtool_has_no"]);
    metrics.env("OUTRIGGER_WRITE_REFERENCE", "1");
    run("metrics", metrics)
}

/// Fails where a generated file is not what would be written now.
pub(crate) fn check() -> anyhow::Result<()> {
    run("build", cargo(&["build", "--quiet", "-p", "outrigger"]))?;
    let mut stale = Vec::new();
    for file in FILES {
        let there = fs::read_to_string(root().join(file.path)).unwrap_or_default();
        if there != (file.make)()? {
            stale.push(file.path);
        }
    }
    if !stale.is_empty() {
        bail!(
            "out of date: {}; write them anew with `cargo xtask generate`",
            stale.join(", ")
        );
    }
    eprintln!("== generated files are up to date");
    Ok(())
}

/// The reference of every command, from its own help.
fn cli() -> anyhow::Result<String> {
    let mut text =
        String::from("# The command line\n\nWritten by `cargo xtask generate` from the program's own help.\n");
    for words in COMMANDS {
        let help = outrigger(&[words, &["--help"][..]].concat())?;
        let title = ["outrigger"]
            .iter()
            .chain(*words)
            .copied()
            .collect::<Vec<_>>()
            .join(" ");
        write!(text, "\n## `{title}`\n\n```text\n{}\n```\n", help.trim_end())?;
    }
    Ok(text)
}

fn outrigger(words: &[&str]) -> anyhow::Result<String> {
    let target = std::env::current_exe()?;
    let binary = target
        .parent()
        .map(|folder| folder.join("outrigger"))
        .context("xtask is in the target folder")?;
    let mut program = command(&binary.to_string_lossy(), words);
    program.env("NO_COLOR", "1").env("COLUMNS", "100");
    output(program)
}
