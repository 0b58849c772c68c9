//! Programs that stand beside the product: found below the build, and ended with whatever holds them.

use std::{
    env,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener, TcpStream},
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

use crate::{pin::Cpu, procfs, run::PATIENCE};

/// A process; it is killed, with all that it has started, when this is dropped.
#[derive(Debug)]
pub struct Killed(Child);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);

impl Killed {
    /// Starts it on a processor.
    pub fn start(command: &mut Command, cpu: Cpu) -> anyhow::Result<Self> {
        let child = cpu.with(|| command.spawn());
        let name = command.get_program().to_string_lossy();
        Ok(Self(child.with_context(|| format!("cannot start {name}"))?))
    }

    /// Starts it and waits for the first line that it prints. Its standard input stays open as long as it lives.
    pub fn announced(command: &mut Command, cpu: Cpu) -> anyhow::Result<(Self, String)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut this = Self::start(command, cpu)?;
        let mut line = String::new();
        BufReader::new(this.0.stdout.take().context("it has no output")?).read_line(&mut line)?;
        let name = command.get_program().to_string_lossy();
        ensure!(line.ends_with('\n'), "{name} ended before it had begun");
        line.truncate(line.trim_end().len());
        Ok((this, line))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until somebody listens on its port.
    pub fn listens(&mut self, port: u16) -> anyhow::Result<()> {
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = self.0.try_wait()? {
                bail!("it ended ({status})");
            }
            ensure!(began.elapsed() < PATIENCE, "nobody listens on port {port}");
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        for pid in procfs::tree(self.id()) {
            // It may end with its parent.
            let _ = i32::try_from(pid).map(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL));
        }
        let _ = self.0.wait();
    }
}

/// A port that nobody listens on at the moment.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Where the peers of that name are: beside the build.
pub fn folder(name: &str) -> anyhow::Result<PathBuf> {
    let program = env::current_exe()?;
    let build = program.parent().and_then(Path::parent);
    Ok(build
        .context("the bench is not in a build folder")?
        .join("peers")
        .join(name))
}

/// A program of Debian that was unpacked into a folder, with the libraries that were unpacked with it.
pub fn unpacked(folder: &Path, name: &str) -> anyhow::Result<Command> {
    let program = folder.join("usr/sbin").join(name);
    ensure!(
        program.is_file(),
        "{} is not there: `cargo xtask bench` puts it there",
        program.display()
    );
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/syslog-ng"];
    let mut command = Command::new(program);
    command.env(
        "LD_LIBRARY_PATH",
        env::join_paths(libraries.map(|library| folder.join(library)))?,
    );
    Ok(command)
}
