//! The product: real `outrigger run` processes on a queue file, and what is put into it.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use benches::{message, procfs};
use bytes::Bytes;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use queues::{Put, Queue, QueueSpec};
use tokio::runtime::Runtime;

use crate::{PATIENCE, case::rest, pin::Cpu, program};

/// A folder with a queue file and the configurations of those who work on it.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    runtime: Runtime,
}

/// One `outrigger run`; it is stopped when this is dropped.
pub(crate) struct Process {
    child: Child,
    admin: SocketAddr,
    log: PathBuf,
    begun: Instant,
}

/// The queue's URL in every configuration.
const QUEUE: &str = "sqlite:queue.db";
/// Messages of one put while a queue is filled.
const FILLING: u64 = 500;
/// Between two looks at a process that starts.
const LOOK: Duration = Duration::from_micros(500);

impl Site {
    /// A new folder below `parent`.
    pub(crate) fn new(parent: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("hop-").tempdir_in(parent)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        Ok(Self { folder, runtime })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the handler of a process that is called `name` listens.
    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.sock"))
    }

    /// Does something with the queue file from this process, as any other program would.
    pub(crate) fn with_queue<F: Future<Output = anyhow::Result<T>>, T>(
        &self,
        work: impl FnOnce(Arc<dyn Queue>) -> F,
    ) -> anyhow::Result<T> {
        self.runtime.block_on(async {
            let queue = queues::open(QUEUE, self.folder()).await?;
            let done = work(queue.clone()).await;
            queue.close().await;
            done
        })
    }

    /// Puts `count` messages into the actor's queue.
    pub(crate) fn fill(&self, count: u64, length: usize) -> anyhow::Result<()> {
        self.with_queue(|queue| async move {
            queue.declare(&[QueueSpec::new(message::ACTOR)]).await?;
            for first in (0..count).step_by(usize::try_from(FILLING)?) {
                let numbers = first..count.min(first + FILLING);
                let puts = numbers.map(|number| put(message::envelope(number, length)));
                queue.put(puts.collect()).await?;
            }
            Ok(())
        })
    }

    /// Checks that exactly `count` messages have come to the happy end and none is anywhere else.
    pub(crate) fn check(&self, count: u64) -> anyhow::Result<()> {
        let all = self.with_queue(|queue| async move { Ok(queue.stats().await?) })?;
        for stats in all {
            let expected = if &*stats.name == "happy-end" { count } else { 0 };
            let there = stats.depth.unwrap_or_default() + stats.in_flight.unwrap_or_default();
            ensure!(
                there == expected,
                "queue `{}` has {there} messages, not {expected}",
                stats.name
            );
        }
        Ok(())
    }

    /// Starts the sidecar of the actor, its handler at [`socket`](Self::socket) of `name`.
    pub(crate) fn start(&self, name: &str, concurrency: usize, cpu: Cpu) -> anyhow::Result<Process> {
        let config = format!(
            "queue: {QUEUE}\nactors:\n  {}:\n    handler: {{ socket: {name}.sock }}\n    concurrency: {concurrency}\n",
            message::ACTOR
        );
        Process::start(self.folder(), name, &config, cpu)
    }
}

/// A message for the actor's queue.
pub(crate) fn put(body: Bytes) -> Put {
    Put::new(message::ACTOR, body)
}

impl Process {
    /// Starts one in a folder with this configuration; it is told where its admin server is.
    pub(crate) fn start(folder: &Path, name: &str, config: &str, cpu: Cpu) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let text = format!("{config}admin: {{ listen: \"127.0.0.1:{port}\" }}\n");
        let config = folder.join(format!("{name}.yaml"));
        fs::write(&config, text)?;
        let log = folder.join(format!("{name}.log"));
        let mut command = Command::new(program("outrigger")?);
        command
            .arg("run")
            .arg(&config)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.stderr(fs::File::create(&log)?);
        let begun = Instant::now();
        let child = cpu.with(|| command.spawn()).context("cannot start outrigger")?;
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self {
            child,
            admin,
            log,
            begun,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The processor time that it has taken so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        procfs::cpu(self.id())
    }

    /// Waits until `/readyz` answers 200; the time since just before it was started.
    ///
    /// A look is a connect that is refused as long as nothing listens, and costs the process nothing till then.
    pub(crate) fn ready(&mut self) -> anyhow::Result<Duration> {
        loop {
            if self.is_ready() {
                return Ok(self.begun.elapsed());
            }
            self.check()?;
            ensure!(
                self.begun.elapsed() < PATIENCE,
                "outrigger is not ready: {}",
                self.last_words()
            );
            thread::sleep(LOOK);
        }
    }

    /// Fails where it has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("outrigger ended ({status}): {}", self.last_words()),
            None => Ok(()),
        }
    }

    /// Ready, and at rest.
    pub(crate) fn settled(&mut self) -> anyhow::Result<()> {
        self.ready()?;
        rest();
        Ok(())
    }

    /// Ends it as an operator would; it must end well.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        kill(self.pid()?, Signal::SIGTERM)?;
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "outrigger ended with {status}: {}", self.last_words());
                return Ok(());
            }
            ensure!(
                asked.elapsed() < PATIENCE,
                "outrigger does not stop: {}",
                self.last_words()
            );
            thread::sleep(LOOK);
        }
    }

    fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect_timeout(&self.admin, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.take(64).read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id())?))
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it has ended already this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
