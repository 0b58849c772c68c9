//! A child process that never outlives this one.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use anyhow::Context;

/// A child, and a shell beside it that kills it when we are gone, however we went.
///
/// Rust's own drop is not enough: a test run may be killed. The system's parent-death signal is not either: it follows
/// the thread that started the child, and a test's thread ends before the tests do.
#[derive(Debug)]
pub(crate) struct Kept {
    child: Child,
    watcher: Child,
}

/// A line on standard input means that the child has ended, the end of the input that we have.
const WATCH: &str = r#"read -r _ || kill -KILL "$1""#;

impl Kept {
    /// Starts it; signals of the terminal do not reach it.
    pub(crate) fn start(mut command: Command) -> anyhow::Result<Self> {
        let program = command.get_program().to_owned();
        let mut child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let watcher = Command::new("sh")
            .args(["-c", WATCH, "sh", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        match watcher {
            Ok(watcher) => Ok(Self { child, watcher }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error).context("cannot start sh")
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for an end that was asked for.
    pub(crate) fn wait(mut self) -> anyhow::Result<()> {
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Nothing of this fails but where it has ended already. The watcher is told before the child is collected, whose
        // id may be another's from then on.
        let _ = self.child.kill();
        if let Some(mut input) = self.watcher.stdin.take() {
            let _ = input.write_all(b"\n");
        }
        let _ = self.watcher.wait();
        let _ = self.child.wait();
    }
}
