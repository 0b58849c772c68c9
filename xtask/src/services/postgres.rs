//! A `PostgreSQL` server of this checkout's own, from Debian's package.
//!
//! Everything is asked of `pg_ctl`: it knows whether the server of a folder runs, and sees to it that there is only one.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};

use crate::{setup::DATABASES, shell::output};

/// The server below a folder of services; it may or may not run.
pub(super) struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    /// Who it runs as where we are root, which it refuses.
    user: Option<(u32, u32)>,
}

impl Postgres {
    /// # Errors
    /// It is not installed.
    pub(super) fn below(services: &Path) -> anyhow::Result<Self> {
        let versions = fs::read_dir(DATABASES).into_iter().flatten().flatten();
        let programs = versions.map(|version| version.path().join("bin"));
        let programs = programs.filter(|programs| programs.join("pg_ctl").exists()).max();
        Ok(Self {
            folder: services.join("postgres"),
            programs: programs.context("PostgreSQL is not installed: install it with `cargo xtask setup`")?,
            user: user()?,
        })
    }

    /// Starts it and waits until it takes clients; says whether that was needed.
    pub(super) fn start(&self) -> anyhow::Result<bool> {
        if self.url().is_some() {
            return Ok(false);
        }
        self.make()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let settings = format!(
            "-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={}",
            self.folder.display()
        );
        let log = self.folder.join("log");
        let mut start = self.command("pg_ctl", &["-w", "-l"]);
        start
            .arg(&log)
            .arg("-D")
            .arg(self.data())
            .args(["-o", &settings, "start"]);
        // The server would keep our pipe open.
        let started = start.stdout(Stdio::null()).status()?;
        let said = || fs::read_to_string(&log).unwrap_or_default();
        ensure!(started.success(), "PostgreSQL does not start: {}", said().trim_end());
        Ok(true)
    }

    /// Stops it, its clients too; says whether it ran.
    pub(super) fn stop(&self) -> anyhow::Result<bool> {
        if self.url().is_none() {
            return Ok(false);
        }
        let mut stop = self.command("pg_ctl", &["-w", "-m", "fast", "-D"]);
        stop.arg(self.data()).arg("stop");
        output(stop).map(|_| true)
    }

    /// Where clients find it; none where it does not run.
    pub(super) fn url(&self) -> Option<String> {
        let mut status = self.command("pg_ctl", &["-D"]);
        status.arg(self.data()).arg("status");
        let runs = status.stdout(Stdio::null()).stderr(Stdio::null()).status();
        // Its fourth line is the port.
        let known = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        let port = known.lines().nth(3)?.trim();
        runs.is_ok_and(|status| status.success())
            .then(|| format!("postgres://outrigger@127.0.0.1:{port}/postgres"))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its folder, with a database in it.
    fn make(&self) -> anyhow::Result<()> {
        if self.data().exists() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        if let Some((user, group)) = self.user {
            chown(&self.folder, Some(user), Some(group))?;
        }
        let mut enter = self.command("initdb", &["--version"]);
        enter.current_dir(&self.folder);
        ensure!(
            enter
                .stdout(Stdio::null())
                .status()
                .is_ok_and(|status| status.success()),
            "the user `postgres`, whom PostgreSQL runs as for root, cannot enter {}: set OUTRIGGER_SERVICES to a folder that everybody can enter",
            self.folder.display()
        );
        let mut make = self.command("initdb", &["-U", "outrigger", "-A", "trust", "-E", "UTF8", "-D"]);
        make.arg(self.data());
        output(make).map(drop)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.args(words).current_dir("/").stdin(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }
}

/// The user and the group that the package has made, where we are root.
fn user() -> anyhow::Result<Option<(u32, u32)>> {
    let id = |words: &[&str]| -> anyhow::Result<u32> {
        let mut command = Command::new("id");
        command.args(words);
        Ok(output(command)?.trim().parse()?)
    };
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    Ok(Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)))
}
