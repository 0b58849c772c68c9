//! Python processes of the bench: the peers, and the handlers of our own side.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use benches::procfs;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::venv::{self, Venv};

/// A process and all that it has started; they end when this is dropped.
pub(crate) struct Python {
    child: Child,
    log: PathBuf,
}

impl Python {
    /// The interpreter with these words, in the folder of the peers' programs; what it prints goes to `log`.
    pub(crate) fn start(venv: &Venv, log: &Path, words: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut command = command(venv, words, settings)?;
        let file = fs::File::create(log)?;
        command.stdin(Stdio::null()).stderr(file.try_clone()?).stdout(file);
        Ok(Self {
            child: command.spawn().context("cannot start python")?,
            log: log.to_owned(),
        })
    }

    /// The processor time that all of them have taken so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        procfs::tree(self.child.id()).into_iter().map(procfs::cpu).sum()
    }

    /// Fails where it has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(8)..].join("\n");
            anyhow::bail!("a Python process ended ({status}): {tail}");
        }
        Ok(())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        for pid in procfs::tree(self.child.id()) {
            // It may end with its parent.
            let _ = i32::try_from(pid).map(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL));
        }
        let _ = self.child.wait();
    }
}

/// Runs a program of the peers' to its end, with this on its standard input.
pub(crate) fn run(venv: &Venv, words: &[&str], settings: &[(&str, &str)], input: &Path) -> anyhow::Result<()> {
    let mut command = command(venv, words, settings)?;
    let output = command.stdin(fs::File::open(input)?).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{words:?} ended with {}: {said}",
        output.status
    );
    Ok(())
}

fn command(venv: &Venv, words: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Command> {
    let mut command = Command::new(venv.python()?);
    command
        .args(words)
        .current_dir(venv::programs())
        .env_clear()
        .env("LANG", "C.UTF-8")
        .env("PYTHONPATH", venv::runtime())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(settings.iter().copied());
    Ok(command)
}
