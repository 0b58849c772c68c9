//! What the tests need besides Rust, installed where it is missing.

use std::process::Command;

use anyhow::{bail, ensure};

use crate::shell::{command, run};

/// Programs that the tests run, and the Debian packages that have them.
const PROGRAMS: &[(&str, &str)] = &[
    ("python3", "python3"),
    ("strace", "strace"),
    ("cc", "gcc"),
    ("g++", "g++"),
    ("javac", "default-jdk-headless"),
];

/// Installs what is missing; says how where it cannot.
pub(crate) fn setup() -> anyhow::Result<()> {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    let old = "import sys; sys.exit(sys.version_info < (3, 9))";
    ensure!(
        command("python3", &["-c", old]).status()?.success(),
        "python3 is older than 3.9, which the Python runtime needs"
    );
    Ok(())
}

fn is_there(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program} >/dev/null")])
        .status()
        .is_ok_and(|it| it.success())
}

fn install(packages: &[&str]) -> anyhow::Result<()> {
    let names = packages.join(" ");
    if !is_there("apt-get") {
        bail!("missing programs: install these with your system's package manager: {names}");
    }
    let sudo = if is_root() { "" } else { "sudo " };
    let line = format!("{sudo}apt-get update -qq && {sudo}apt-get install -y -qq --no-install-recommends {names}");
    run(&format!("install {names}"), command("sh", &["-c", &line]))
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
