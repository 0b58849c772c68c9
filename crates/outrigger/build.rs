//! Tells a release which commit it is built from: `OUTRIGGER_COMMIT` and `OUTRIGGER_DATE`, else what git says. Where nobody says
//! anything, and in debug builds, which would be linked anew after each commit, `/version` says `unknown`.

#![allow(
    clippy::disallowed_methods,
    reason = "it is told by the environment alone what is built"
)]

use std::{env, path::Path, process::Command};

const LOG: &str = "../../.git/logs/HEAD";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["OUTRIGGER_COMMIT", "OUTRIGGER_DATE"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    if Path::new(LOG).exists() {
        println!("cargo::rerun-if-changed={LOG}");
    }
    for (name, words) in [
        ("OUTRIGGER_COMMIT", ["rev-parse", "--short=12", "HEAD"].as_slice()),
        ("OUTRIGGER_DATE", &["show", "--no-patch", "--format=%cs", "HEAD"]),
    ] {
        let said = env::var(name).ok().or_else(|| git(words));
        if let Some(said) = said {
            println!("cargo::rustc-env={name}={said}");
        }
    }
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}
