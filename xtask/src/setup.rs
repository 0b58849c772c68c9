//! What the tests need besides Rust, installed where it is missing.

use std::process::Command;

use anyhow::{bail, ensure};
use rabbit_node::{Installed, PACKAGE};

use crate::shell::{command, run};

/// Programs that the tests run, and the Debian packages that have them.
const PROGRAMS: &[(&str, &str)] = &[("python3", "python3"), ("strace", "strace"), ("cc", "gcc")];

/// Installs its arguments, with all words on standard error. Debian's way to say that no package may start a service is a policy: where the machine has none
/// there is one meanwhile.
const INSTALL: &str = r#"
set -e
exec >&2
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
case " $* " in
    *" rabbitmq-server "*) ! command -v systemctl >/dev/null || systemctl --quiet disable rabbitmq-server ;;
esac
"#;

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
    broker()?;
    let old = "import sys; sys.exit(sys.version_info < (3, 9))";
    ensure!(
        command("python3", &["-c", old]).status()?.success(),
        "python3 is older than 3.9, which the Python runtime needs"
    );
    Ok(())
}

/// Installs the broker where it is missing.
///
/// The package would start a node of the system's own, now and whenever the machine starts: it is kept from both.
pub(crate) fn broker() -> anyhow::Result<()> {
    if Installed::find().is_err() {
        install(&[PACKAGE])?;
    }
    Installed::find().map(drop)
}

/// Installs what virtual environments of Python need where it is missing.
pub(crate) fn environments() -> anyhow::Result<()> {
    let made = command("python3", &["-c", "import ensurepip, venv"]).output();
    if made.is_ok_and(|it| it.status.success()) {
        return Ok(());
    }
    install(&["python3-venv"])
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
    let words = ["sh", "-c", INSTALL, "sh"].into_iter().chain(packages.iter().copied());
    let words: Vec<&str> = if is_root() {
        words.collect()
    } else {
        ["sudo"].into_iter().chain(words).collect()
    };
    run(&format!("install {names}"), command(words[0], &words[1..]))
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
