//! The echo process, as the bench sees it.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use anyhow::{Context, ensure};

use crate::{PATIENCE, pin::Cpu, program};

/// The handler process; it ends when this is dropped.
pub(crate) struct Echo {
    process: Child,
    commands: Option<ChildStdin>,
    answers: Receiver<String>,
}

/// Whether requests are answered from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intake {
    Open,
    /// Not before [`Echo::go`].
    Held,
}

impl Echo {
    /// Starts it on these sockets, and waits until it listens.
    pub(crate) fn start(sockets: &[PathBuf], intake: Intake, cpu: Cpu) -> anyhow::Result<Self> {
        let mut command = Command::new(program("hop-echo")?);
        if intake == Intake::Held {
            command.arg("--hold");
        }
        command.args(sockets).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = cpu.with(|| command.spawn()).context("cannot start hop-echo")?;
        let commands = process.stdin.take();
        let output = process.stdout.take().context("hop-echo has no output")?;
        let (tell, answers) = mpsc::sync_channel(16);
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let echo = Self {
            process,
            commands,
            answers,
        };
        ensure!(echo.answer(PATIENCE)? == "listening", "hop-echo did not start");
        Ok(echo)
    }

    /// On one socket, open from the start.
    pub(crate) fn open(socket: &Path, cpu: Cpu) -> anyhow::Result<Self> {
        Self::start(&[socket.to_owned()], Intake::Open, cpu)
    }

    /// Lets a held one answer.
    pub(crate) fn go(&mut self) -> anyhow::Result<()> {
        self.ask("go", PATIENCE).map(drop)
    }

    /// Waits for the request of that number; the time between the first and the last one's first byte.
    pub(crate) fn reach(&mut self, count: u64, patience: Duration) -> anyhow::Result<Duration> {
        let answer = self.ask(&format!("await {count}"), patience);
        let answer = answer.with_context(|| format!("request {count} did not come within {patience:?}"))?;
        let moments = numbers(answer.trim_start_matches("reached "))?;
        match moments[..] {
            [first, last] => Ok(Duration::from_nanos(last - first)),
            _ => anyhow::bail!("hop-echo said `{answer}`"),
        }
    }

    /// How many requests each socket has had.
    pub(crate) fn counts(&mut self) -> anyhow::Result<Vec<u64>> {
        numbers(&self.ask("counts", PATIENCE)?)
    }

    /// When each request's first byte came, in the order of the requests.
    pub(crate) fn stamps(&mut self) -> anyhow::Result<Vec<u64>> {
        numbers(&self.ask("stamps", PATIENCE)?)
    }

    fn ask(&mut self, command: &str, patience: Duration) -> anyhow::Result<String> {
        let commands = self.commands.as_mut().context("hop-echo takes no commands")?;
        commands.write_all(format!("{command}\n").as_bytes())?;
        self.answer(patience)
    }

    fn answer(&self, patience: Duration) -> anyhow::Result<String> {
        self.answers.recv_timeout(patience).context("hop-echo does not answer")
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // The end of its input is its end; should it be stuck in a frame, not that alone.
        drop(self.commands.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn numbers(line: &str) -> anyhow::Result<Vec<u64>> {
    line.split_ascii_whitespace().map(|word| Ok(word.parse()?)).collect()
}
