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

/// Python's own tests, each with its folder and the one that imports start from.
const PYTHON: &[(&str, &str, &str)] = &[
    ("Python runtime", "sdks/python/tests", "sdks/python"),
    ("digits example", "examples/digits", "examples/digits"),
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
    for (name, folder, top) in PYTHON {
        let mut python = command(
            "python3",
            &["-m", "unittest", "discover", "--quiet", "-s", folder, "-t", top],
        );
        python
            .env("PYTHONPATH", "sdks/python/src")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        run(name, python)?;
    }
    generate::check()
}
