//! The product: real `outrigger run` processes.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    case::rest,
    pin::Cpu,
    procfs,
    run::{PATIENCE, program},
};

/// One `outrigger run`; it is stopped when this is dropped.
pub struct Process {
    child: Child,
    admin: SocketAddr,
    log: PathBuf,
    begun: Instant,
}

/// Between two looks at a process that starts.
const LOOK: Duration = Duration::from_micros(500);

impl Process {
    /// Starts one in a folder with this configuration; it is told where its admin server is.
    pub fn start(folder: &Path, name: &str, config: &str, cpu: Cpu) -> anyhow::Result<Self> {
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

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The processor time that it has taken so far.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        procfs::cpu(self.id())
    }

    /// Waits until `/readyz` answers 200; the time since just before it was started.
    ///
    /// A look is a connect that is refused as long as nothing listens, and costs the process nothing till then.
    pub fn ready(&mut self) -> anyhow::Result<Duration> {
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
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("outrigger ended ({status}): {}", self.last_words()),
            None => Ok(()),
        }
    }

    /// Ready, and at rest.
    pub fn settled(&mut self) -> anyhow::Result<()> {
        self.ready()?;
        rest();
        Ok(())
    }

    /// Ends it as an operator would; it must end well.
    pub fn stop(mut self) -> anyhow::Result<()> {
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
