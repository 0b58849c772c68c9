//! A node's folder, and the commands that run what is in it.
//!
//! Everything a node reads or writes lies in its folder, and nothing of the caller's environment reaches it but the path.

use std::{
    env, fs, io,
    os::unix::fs::{OpenOptionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};

use crate::{Installed, Settings, ports::free_port};

/// A folder that is ready for a node to run in.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    folder: PathBuf,
    installed: Installed,
    pub(crate) ports: Ports,
    has_tls: bool,
}

/// Where a node listens, on loopback; the same as long as its folder is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) amqp: u16,
    pub(crate) tls: u16,
    /// For `rabbitmqctl`.
    pub(crate) distribution: u16,
    /// Erlang's port mapper, the node's own.
    pub(crate) mapper: u16,
}

/// A node's name; its port mapper knows no other.
const NAME: &str = "outrigger@localhost";
/// How Erlang finds the host of that name: without asking the machine, which may not know it or know another.
const HOSTS: &str = "{host, {127,0,0,1}, [\"localhost\"]}.\n{lookup, [file]}.\n";
/// The log of the node of that name.
const LOG: &str = "log/outrigger@localhost.log";
/// Lines of it in an error.
const LINES: usize = 15;

impl Layout {
    /// Makes the folder where it is missing, and writes the configuration anew; data, ports and cookie stay.
    pub(crate) fn prepare(folder: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let installed = Installed::find()?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let layout = Self {
            ports: Ports::of(&folder.join("ports"))?,
            folder,
            installed,
            has_tls: settings.has_tls(),
        };
        fs::write(layout.path("rabbitmq.conf"), settings.file(layout.ports))?;
        fs::write(layout.path("enabled_plugins"), "[].\n")?;
        fs::write(layout.path("hosts"), HOSTS)?;
        layout.make_cookie()?;
        layout.link_applications()?;
        Ok(layout)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.ports.amqp)
    }

    pub(crate) fn tls_url(&self) -> Option<String> {
        self.has_tls
            .then(|| format!("amqps://guest:guest@localhost:{}/%2f", self.ports.tls))
    }

    /// Erlang's port mapper.
    pub(crate) fn mapper(&self) -> anyhow::Result<Command> {
        let mut command = self.command("epmd", "mapper.out")?;
        command.args(["-port", &self.ports.mapper.to_string(), "-address", "127.0.0.1"]);
        Ok(command)
    }

    /// The node itself, its process the one that is started.
    pub(crate) fn server(&self) -> anyhow::Result<Command> {
        let mut command = self.command("erl", "server.out")?;
        // What is said of a start is from this one. There is no log before the first.
        let _ = fs::rename(self.path(LOG), self.path(LOG).with_extension("log.before"));
        command
            .env("ERL_LIBS", self.path("applications"))
            .env("ERL_MAX_ETS_TABLES", "50000")
            .env("ERL_CRASH_DUMP_BYTES", "0")
            .env("RABBITMQ_HOME", self.installed.home())
            .env("RABBITMQ_PLUGINS_DIR", self.path("applications"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.path("enabled_plugins"))
            .env("RABBITMQ_CONFIG_FILE", self.path("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", self.path("advanced.config"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", self.path("generated"))
            .env("RABBITMQ_MNESIA_BASE", self.path("data"))
            .env("RABBITMQ_LOG_BASE", self.path("log"))
            .env("RABBITMQ_PID_FILE", self.path("pid"))
            .env("RABBITMQ_DIST_PORT", self.ports.distribution.to_string());
        command.args(["-noinput", "-boot", "start_sasl", "-s", "rabbit", "boot"]);
        // Two threads are enough for tests, and start fastest; none of them turns idly.
        command.args([
            "+W",
            "w",
            "+S",
            "2:2",
            "+sbwt",
            "none",
            "+sbwtdcpu",
            "none",
            "+sbwtdio",
            "none",
        ]);
        command.args(["-start_epmd", "false", "-syslog", "logger", "[]"]);
        command.args(["-syslog", "syslog_error_logger", "false"]);
        command.args(["-kernel", "prevent_overlapping_partitions", "false"]);
        command.args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]);
        Ok(command)
    }

    /// `rabbitmqctl` with these words, on this node.
    pub(crate) fn ctl(&self, words: &[&str]) -> Command {
        let mut command = Command::new(Installed::command("rabbitmqctl"));
        self.surround(&mut command);
        let own_ports = self.ports.distribution + 1;
        command
            .env(
                "RABBITMQ_CTL_ERL_ARGS",
                "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
            )
            .env("RABBITMQ_CTL_DIST_PORT_MIN", own_ports.to_string())
            .env("RABBITMQ_CTL_DIST_PORT_MAX", (own_ports + 100).to_string())
            .args(["--quiet", "--node", NAME])
            .args(words)
            .stdin(Stdio::null());
        command
    }

    /// What the node has last said: its first errors, which have the cause, or else the end.
    pub(crate) fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&fs::read(self.path("server.out")).unwrap_or_default()).into_owned()
            + &String::from_utf8_lossy(&fs::read(self.path(LOG)).unwrap_or_default());
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let errors: Vec<&str> = lines.iter().copied().filter(|line| line.contains("[error]")).collect();
        let told = match errors[..] {
            [] => &lines[lines.len().saturating_sub(LINES)..],
            _ => &errors[..errors.len().min(LINES)],
        };
        format!("{}\n(all of it in {})", told.join("\n"), self.folder.display())
    }

    fn command(&self, program: &str, output: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(program);
        self.surround(&mut command);
        let output = fs::File::create(self.path(output))?;
        command.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output);
        Ok(command)
    }

    fn surround(&self, command: &mut Command) {
        command
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", &self.folder)
            .env("LANG", "C.UTF-8")
            .env("ERL_EPMD_PORT", self.ports.mapper.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_INETRC", self.path("hosts"))
            .env("RABBITMQ_NODENAME", NAME)
            .env("RABBITMQ_CONF_ENV_FILE", self.path("rabbitmq-env.conf"))
            .current_dir(&self.folder);
    }

    fn make_cookie(&self) -> anyhow::Result<()> {
        let path = self.path(".erlang.cookie");
        let made = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o400)
            .open(&path);
        let cookie: String = std::iter::repeat_with(fastrand::alphanumeric).take(32).collect();
        match made {
            Ok(mut file) => Ok(io::Write::write_all(&mut file, cookie.as_bytes())?),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
        }
    }

    fn link_applications(&self) -> anyhow::Result<()> {
        let folder = self.path("applications");
        // Another version may be installed since.
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder)?;
        for application in self.installed.applications()? {
            let name = application.file_name().context("an application has a name")?;
            symlink(&application, folder.join(name))?;
        }
        Ok(())
    }
}

impl Ports {
    /// Those that the file names, or free ones, which it names from now on.
    fn of(file: &Path) -> anyhow::Result<Self> {
        if let Some(ports) = fs::read_to_string(file).ok().and_then(|text| Self::read(&text)) {
            return Ok(ports);
        }
        let mut ports = [0; 4];
        for place in 0..ports.len() {
            ports[place] = free_port()?;
            ensure!(!ports[..place].contains(&ports[place]), "a port came twice: try again");
        }
        let [amqp, tls, distribution, mapper] = ports;
        fs::write(file, format!("{amqp} {tls} {distribution} {mapper}\n"))?;
        Ok(Self {
            amqp,
            tls,
            distribution,
            mapper,
        })
    }

    fn read(text: &str) -> Option<Self> {
        let ports: Option<Vec<u16>> = text.split_ascii_whitespace().map(|word| word.parse().ok()).collect();
        match ports?[..] {
            [amqp, tls, distribution, mapper] => Some(Self {
                amqp,
                tls,
                distribution,
                mapper,
            }),
            _ => None,
        }
    }
}
