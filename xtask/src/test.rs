//! Everything that must hold before a change lands.

use clap::Args;

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
    let mut tests = cargo(&["test", "--workspace", "--quiet"]);
    if options.faults {
        tests.env("OUTRIGGER_FAULT_ROUNDS", "200");
    }
    run("tests and doc tests", tests)?;
    for (name, line) in FOREIGN {
        let mut suite = command("sh", &["-c", line]);
        suite
            .env("PYTHONPATH", "sdks/python/src")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        run(name, suite)?;
    }
    generate::check()
}
