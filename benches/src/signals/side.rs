//! Those who receive: each is started on a free port, and writes what it gets to one file.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use benches::{
    lines,
    peer::{self, Killed, free_port},
    pin::Cpu,
    process::Process,
    procfs,
    run::{PATIENCE, program},
};

/// Who receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Ours,
    Floor,
    Rsyslog,
    SyslogNg,
}

/// One of them at work; it ends when this is dropped.
pub(crate) struct Receiver {
    who: Who,
    pub(crate) port: u16,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

enum Who {
    Ours(Box<Process>),
    Other(Killed),
}

/// The folder that the logging daemons were unpacked into.
const PEERS: &str = "syslog";
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);
/// How long all lines may take.
const LIMIT: Duration = Duration::from_mins(2);

/// What ours is configured to do; `{port}` is its port.
pub(crate) const OURS: &str = "signals:
  tcp: { port: {port}, max_connections: 1000 }
  backends: { out: { type: file, path: out.jsonl } }
  routing: { default: [ { backend: out, filter: { types: [event, metric, span] } } ] }
";

impl Side {
    /// As reports have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Floor => "floor",
            Self::Rsyslog => "rsyslog",
            Self::SyslogNg => "syslog-ng",
        }
    }

    /// Starts it in a folder of its own below `parent`.
    pub(crate) fn start(self, parent: &Path) -> anyhow::Result<Receiver> {
        let folder = tempfile::Builder::new().prefix("lines-").tempdir_in(parent)?;
        let file = folder.path().join("out.jsonl");
        let mut port = free_port()?;
        let who = match self {
            Self::Ours => Who::Ours(Box::new(ours(folder.path(), port, OURS)?)),
            Self::Floor => {
                let mut command = Command::new(program("lines-bare")?);
                let (bare, line) = Killed::announced(command.arg(&file), Cpu::ANY)?;
                port = line.parse().context("lines-bare did not start")?;
                Who::Other(bare)
            }
            Self::Rsyslog => Who::Other(rsyslog(folder.path(), &file, port)?),
            Self::SyslogNg => Who::Other(syslog_ng(folder.path(), &file, port)?),
        };
        let receiver = Receiver {
            who,
            port,
            file,
            _folder: folder,
        };
        if self != Self::Floor {
            // The bare program serves one connection, and that is not this one.
            receiver.listens()?;
        }
        Ok(receiver)
    }
}

/// Starts ours with a configuration, and waits until it is at rest.
pub(crate) fn ours(folder: &Path, port: u16, config: &str) -> anyhow::Result<Process> {
    let config = config.replace("{port}", &port.to_string());
    let mut process = Process::start(folder, "outrigger", &config, Cpu::ANY)?;
    process.settled()?;
    Ok(process)
}

fn rsyslog(folder: &Path, file: &Path, port: u16) -> anyhow::Result<Killed> {
    let config = format!(
        "global(workDirectory=\"{work}\" maxMessageSize=\"64k\")\n\
         module(load=\"imtcp\" maxSessions=\"1000\")\nmodule(load=\"mmjsonparse\")\n\
         template(name=\"line\" type=\"string\" string=\"%$!all-json%\\n\")\n\
         ruleset(name=\"in\" queue.type=\"LinkedList\" queue.size=\"100000\") {{\n\
           action(type=\"mmjsonparse\" cookie=\"\" useRawMsg=\"on\")\n\
           if $parsesuccess == \"OK\" then {{ action(type=\"omfile\" file=\"{file}\" template=\"line\" ioBufferSize=\"128k\" flushOnTXEnd=\"off\" asyncWriting=\"on\") }}\n\
         }}\n\
         input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\" ruleset=\"in\")\n",
        work = folder.display(),
        file = file.display(),
    );
    let path = folder.join("rsyslog.conf");
    fs::write(&path, config)?;
    let pid = folder.join("rsyslog.pid");
    let peers = peer::folder(PEERS)?;
    let mut command = peer::unpacked(&peers, "rsyslogd")?;
    command
        .arg("-M")
        .arg(peers.join("usr/lib/x86_64-linux-gnu/rsyslog"))
        .args(["-n", "-i"])
        .arg(pid)
        .arg("-f")
        .arg(&path)
        .stderr(fs::File::create(folder.join("log"))?);
    Killed::start(&mut command, Cpu::ANY)
}

fn syslog_ng(folder: &Path, file: &Path, port: u16) -> anyhow::Result<Killed> {
    let config = format!(
        "@version: 3.38\n\
         options {{ flush-lines(1000); log-fifo-size(1000000); stats-freq(0); }};\n\
         source s {{ network(ip(\"127.0.0.1\") port({port}) transport(tcp) flags(no-parse) max-connections(1000) \
         log-iw-size(100000) log-fetch-limit(1000)); }};\n\
         parser p {{ json-parser(prefix(\".json.\")); }};\n\
         destination d {{ file(\"{}\" template(\"$(format-json --scope none .json.*)\\n\")); }};\n\
         log {{ source(s); parser(p); destination(d); flags(flow-control); }};\n",
        file.display(),
    );
    let path = folder.join("syslog-ng.conf");
    fs::write(&path, config)?;
    let own = |name: &str| folder.join(name).display().to_string();
    let peers = peer::folder(PEERS)?;
    let mut command = peer::unpacked(&peers, "syslog-ng")?;
    command
        .arg("--module-path")
        .arg(peers.join("usr/lib/syslog-ng/3.38"))
        .args(["--foreground", "--no-caps", "--stderr", "-f"])
        .arg(&path)
        .args([
            "--persist-file",
            &own("persist"),
            "--pidfile",
            &own("pid"),
            "--control",
            &own("control"),
        ])
        .stderr(fs::File::create(folder.join("log"))?);
    Killed::start(&mut command, Cpu::ANY)
}

impl Receiver {
    /// Sends lines over so many connections and waits until all are in the file; the receiver's processor time for it.
    pub(crate) fn receive(&mut self, count: u64, connections: usize) -> anyhow::Result<Duration> {
        let before = self.cpu()?;
        let sent = Command::new(program("lines-send")?)
            .args([self.port.to_string(), count.to_string(), connections.to_string()])
            .status()?;
        ensure!(sent.success(), "lines-send ended with {sent}");
        let began = Instant::now();
        // Whoever writes the fields anew may leave out what a line has by default, and their order is their own.
        while self.lines()? < count {
            ensure!(began.elapsed() < LIMIT, "{} of {count} lines have come", self.lines()?);
            thread::sleep(LOOK);
        }
        Ok(self.cpu()?.saturating_sub(before))
    }

    /// Memory at this moment, in KiB.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        procfs::resident(self.id())
    }

    /// Ends it.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        match self.who {
            Who::Ours(process) => process.stop(),
            Who::Other(_) => Ok(()),
        }
    }

    /// How many lines are in the file: by its size where lines are as they came, else by their number.
    fn lines(&self) -> anyhow::Result<u64> {
        let Ok(metadata) = fs::metadata(&self.file) else {
            return Ok(0);
        };
        if metadata.len() % lines::LENGTH as u64 == 0 && matches!(self.who, Who::Ours(_)) {
            return Ok(metadata.len() / lines::LENGTH as u64);
        }
        let text = fs::read(&self.file)?;
        Ok(memchr::memchr_iter(b'\n', &text).count() as u64)
    }

    fn listens(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if began.elapsed() > PATIENCE {
                let log = self.file.with_file_name("log");
                bail!(
                    "the receiver does not listen: {}",
                    fs::read_to_string(log).unwrap_or_default()
                );
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    fn cpu(&self) -> anyhow::Result<Duration> {
        match &self.who {
            // It ends with its connection: its time is there until it is waited for.
            Who::Ours(process) => process.cpu(),
            Who::Other(child) => procfs::cpu(child.id()),
        }
    }

    fn id(&self) -> u32 {
        match &self.who {
            Who::Ours(process) => process.id(),
            Who::Other(child) => child.id(),
        }
    }
}

/// Of the peers.
pub(crate) fn versions() -> anyhow::Result<String> {
    let first = |program: &str, flag: &str| -> anyhow::Result<String> {
        let output = peer::unpacked(&peer::folder(PEERS)?, program)?.arg(flag).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text
            .lines()
            .next()
            .unwrap_or_default()
            .split("  ")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned())
    };
    Ok(format!("{}, {}", first("rsyslogd", "-v")?, first("syslog-ng", "-V")?))
}
