//! A function to call: a plain handler that gives back what it gets, and `outrigger run` in front of it.

use std::{path::PathBuf, process::Command};

use anyhow::ensure;
use benches::{
    case::Stage,
    peer::{Killed, free_port},
    process::Process,
    run::program,
};

/// Both at work; they end when this is dropped.
pub(crate) struct Site {
    outrigger: Process,
    _echo: Killed,
    /// Where calls are taken over HTTP.
    pub(crate) url: String,
    folder: tempfile::TempDir,
}

impl Site {
    pub(crate) fn start(stage: &Stage) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("calls-").tempdir_in(&stage.folder)?;
        let mut command = Command::new(program("hop-echo")?);
        command.arg(folder.path().join("echo.sock"));
        let (echo, line) = Killed::announced(&mut command, stage.pins.handler)?;
        ensure!(line == "listening", "hop-echo said `{line}`");
        let url = format!("http://127.0.0.1:{}", free_port()?);
        let function = "{ name: echo, handler: { socket: echo.sock, dialect: plain }, args: [ { name: text, schema: { type: \
                        string } } ] }";
        let config = format!(
            "log: {{ level: warn }}\ncalls:\n  listen: [ \"{url}\", \"ipc:calls.sock\" ]\n  functions: [ {function} ]\n"
        );
        let mut outrigger = Process::start(folder.path(), "outrigger", &config, stage.pins.asker)?;
        outrigger.settled()?;
        Ok(Self {
            outrigger,
            _echo: echo,
            url,
            folder,
        })
    }

    /// Where calls are taken on a Unix socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("calls.sock")
    }

    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.outrigger.stop()
    }
}
