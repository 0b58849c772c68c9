//! What the tests need besides Rust, installed where it is missing. Nothing that it brings is left running.

use std::process::{Command, Stdio};

use anyhow::{bail, ensure};

use crate::shell::{command, root, run};

/// Programs that the tests run, and the Debian packages that have them.
const PROGRAMS: &[(&str, &str)] = &[
    ("python3", "python3"),
    ("strace", "strace"),
    ("cc", "gcc"),
    ("promtool", "prometheus"),
];
/// Modules of Python that Debian has in packages of their own.
const MODULES: &[(&str, &str)] = &[("ensurepip", "python3-venv")];
/// Packages whose server Debian starts when it installs them, and at each boot. We want a tool of theirs alone: the
/// server is stopped and switched off at once. One that was there before is left as it is.
const SERVERS: &[&str] = &["prometheus"];
/// Where the tests find a Python with OpenTelemetry's protobuf definitions.
const OTLP: &str = "target/otlp";

/// Installs what is missing; says how where it cannot.
pub(crate) fn setup() -> anyhow::Result<()> {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_there(program))
        .chain(MODULES.iter().filter(|(module, _)| !imports(module)))
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    for server in SERVERS.iter().filter(|server| missing.contains(server)) {
        switch_off(server)?;
    }
    let old = "import sys; sys.exit(sys.version_info < (3, 9))";
    ensure!(
        command("python3", &["-c", old]).status()?.success(),
        "python3 is older than 3.9, which the Python runtime needs"
    );
    if !root().join(OTLP).exists() {
        let make = command("python3", &["tests/harness/otlp.py", "setup", OTLP]);
        run("install opentelemetry-proto from PyPI", make)?;
    }
    Ok(())
}

/// Whether Python has this module; without Python it comes with it.
fn imports(module: &str) -> bool {
    Command::new("python3")
        .args(["-c", &format!("import {module}")])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|it| it.success())
}

/// Stops a server that came with a package, and keeps it from starting again.
fn switch_off(server: &str) -> anyhow::Result<()> {
    let sudo = sudo();
    let line = format!(
        "if [ -d /run/systemd/system ]; then {sudo}systemctl disable --now --quiet {server}; \
         else {sudo}service {server} stop >/dev/null 2>&1; {sudo}update-rc.d {server} disable; fi"
    );
    run(
        &format!("switch the server {server} off"),
        command("sh", &["-c", &line]),
    )
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
    let sudo = sudo();
    let line = format!("{sudo}apt-get update -qq && {sudo}apt-get install -y -qq --no-install-recommends {names}");
    run(&format!("install {names}"), command("sh", &["-c", &line]))
}

fn sudo() -> &'static str {
    if is_root() { "" } else { "sudo " }
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
