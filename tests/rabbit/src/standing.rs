//! The node of this checkout that stays until it is stopped.
//!
//! A file in its folder says which processes it is; a start and a stop hold a lock, so that two of them take turns.

use std::{
    env,
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context;

use crate::{Settings, layout::Layout, process::Known, ready};

/// A node that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Where clients find it.
    pub url: String,
    server: Known,
    mapper: Known,
}

/// What a start has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It was not there and is now.
    Now(Running),
    /// It was there already.
    Before(Running),
}

/// The variable that says it.
const VARIABLE: &str = "OUTRIGGER_SERVICES";
/// How long it may take to put everything in order.
const GRACE: Duration = Duration::from_secs(30);

/// Where services have their folders: `OUTRIGGER_SERVICES`, or `target/services` of this checkout.
pub fn folder() -> PathBuf {
    let own = || {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        checkout
            .expect("this crate is two folders deep")
            .join("target/services")
    };
    env::var_os(VARIABLE).map_or_else(own, PathBuf::from)
}

/// Starts the node below a folder of services, and waits until it takes clients.
///
/// # Errors
/// Where `RabbitMQ` is not installed or does not come up; the end of its log is in the error.
pub fn start(services: &Path) -> anyhow::Result<Started> {
    let _turn = turn(services)?;
    if let Some(running) = read(services) {
        return Ok(Started::Before(running));
    }
    clear(services)?;
    let layout = Layout::prepare(&home(services), &Settings::default())?;
    let mapper = detach(layout.mapper()?)?;
    let server = detach(layout.server()?);
    let up = server.and_then(|server| {
        let running = Running {
            url: layout.url(),
            server,
            mapper,
        };
        // Before it is up: whoever is interrupted while waiting leaves something that can be stopped.
        fs::write(record(services), running.in_lines())?;
        ready::wait(&layout, || !server.is_alive())?;
        Ok(running)
    });
    if up.is_err() {
        mapper.end(GRACE)?;
        clear(services)?;
    }
    up.map(Started::Now)
}

/// Stops the node and waits until all of it is gone; `false` where none ran. Its data stays.
///
/// # Errors
/// Where a process does not end.
pub fn stop(services: &Path) -> anyhow::Result<bool> {
    let _turn = turn(services)?;
    let ran = read(services).is_some();
    clear(services)?;
    Ok(ran)
}

/// The node that runs below a folder of services.
pub fn running(services: &Path) -> Option<Running> {
    read(services)
}

impl Running {
    /// The broker's process.
    pub fn pid(&self) -> u32 {
        self.server.pid
    }

    fn in_lines(&self) -> String {
        let line = |name: &str, it: Known| format!("{name} {} {}\n", it.pid, it.started);
        format!("url {}\n", self.url) + &line("server", self.server) + &line("mapper", self.mapper)
    }

    fn from_lines(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut words = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let url = words("url")?.to_owned();
        let known = |words: &str| {
            let (pid, started) = words.split_once(' ')?;
            Some(Known {
                pid: pid.parse().ok()?,
                started: started.parse().ok()?,
            })
        };
        let server = known(words("server")?)?;
        let mapper = known(words("mapper")?)?;
        Some(Self { url, server, mapper })
    }
}

fn home(services: &Path) -> PathBuf {
    services.join("rabbitmq")
}

fn record(services: &Path) -> PathBuf {
    home(services).join("running")
}

fn recorded(services: &Path) -> Option<Running> {
    Running::from_lines(&fs::read_to_string(record(services)).ok()?)
}

fn read(services: &Path) -> Option<Running> {
    recorded(services).filter(|running| running.server.is_alive())
}

/// Ends what the record names and still lives, and forgets it.
fn clear(services: &Path) -> anyhow::Result<()> {
    if let Some(old) = recorded(services) {
        old.server.end(GRACE)?;
        old.mapper.end(GRACE)?;
    }
    match fs::remove_file(record(services)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Waits for the turn of this start or stop; it lasts until the file is closed.
fn turn(services: &Path) -> anyhow::Result<File> {
    let home = home(services);
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let file = File::create(home.join("lock"))?;
    file.lock().context("cannot wait for another start or stop")?;
    Ok(file)
}

/// Starts a process that stays when we and our terminal are gone.
fn detach(mut command: Command) -> anyhow::Result<Known> {
    let program = command.get_program().to_owned();
    let child = command
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Known::now(child.id())
}
