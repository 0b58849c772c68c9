//! Everything that must hold before a change lands.

use std::env;

use clap::Args;
use rabbit_node::{Node, Settings, VARIABLE, standing};

use crate::{
    generate, setup,
    shell::{cargo, command, run},
};

/// How much to test.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The long rounds of the fault tests: 200 instead of 10.
    #[arg(long)]
    faults: bool,
}

/// Tests in other languages, each with the line for a shell that runs it.
const FOREIGN: &[(&str, &str)] = &[
    (
        "Python runtime",
        "python3 -m unittest discover --quiet -s sdks/python/tests -t sdks/python",
    ),
    (
        "Java runtime",
        "python3 -m unittest discover --quiet -s sdks/java/tests -t sdks/java",
    ),
    (
        "C++ runtime",
        "python3 -m unittest discover --quiet -s sdks/cpp/tests -t sdks/cpp",
    ),
    (
        "digits example",
        "python3 -m unittest discover --quiet -s examples/digits",
    ),
    (
        "TypeScript runtime",
        "node --test --test-reporter=dot sdks/typescript/test/*.test.mjs",
    ),
];

pub(crate) fn test(options: &Options) -> anyhow::Result<()> {
    setup::setup()?;
    run("format", cargo(&["fmt", "--all", "--check"]))?;
    run(
        "lints",
        cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "--deny",
            "warnings",
        ]),
    )?;
    run(
        "a build without the heavy parts",
        cargo(&["check", "--quiet", "-p", "outrigger", "--no-default-features"]),
    )?;
    let broker = broker()?;
    let mut tests = cargo(&["test", "--workspace", "--quiet"]);
    if let Some(broker) = &broker {
        tests.env(VARIABLE, broker.url());
    }
    if options.faults {
        tests.env("OUTRIGGER_FAULT_ROUNDS", "200");
    }
    run("tests and doc tests", tests)?;
    drop(broker);
    for (name, line) in FOREIGN {
        let mut suite = command("sh", &["-c", line]);
        suite
            .env("PYTHONPATH", "sdks/python/src")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        run(name, suite)?;
    }
    generate::check()
}

/// A broker for the tests, empty, gone when they end in whichever way; none where the caller has named one.
fn broker() -> anyhow::Result<Option<Node>> {
    if env::var_os(VARIABLE).is_some() {
        return Ok(None);
    }
    let folder = standing::folder().join("tests");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    eprintln!("\n== RabbitMQ for the tests, in {}", folder.display());
    Ok(Some(Node::start(&folder, &Settings::default())?))
}
