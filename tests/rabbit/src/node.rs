//! A node of the caller's own.

use std::{net::SocketAddr, path::Path, thread};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;

use crate::{
    Settings,
    kept::Kept,
    layout::Layout,
    process::{self, LOOK},
    ready,
};

/// A running broker in a folder; it ends when this is dropped, or when this process does. The folder stays.
#[derive(Debug)]
pub struct Node {
    layout: Layout,
    server: Option<Kept>,
    /// Its port mapper; it outlives the server's kills.
    _mapper: Kept,
}

impl Node {
    /// Starts one in `folder`, with what an earlier one has left there, and waits until it takes clients: about three
    /// seconds on an idle machine.
    ///
    /// # Errors
    /// Where `RabbitMQ` is not installed or does not come up; the end of its log is in the error.
    pub fn start(folder: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let layout = Layout::prepare(folder, settings)?;
        let mapper = Kept::start(layout.mapper()?)?;
        let mut node = Self {
            layout,
            server: None,
            _mapper: mapper,
        };
        node.restart()?;
        Ok(node)
    }

    /// Where clients find it: `amqp://..`, the virtual host `/`.
    pub fn url(&self) -> String {
        self.layout.url()
    }

    /// Where clients find it over TLS, by the name `localhost`; `None` without [`Settings::tls`].
    pub fn tls_url(&self) -> Option<String> {
        self.layout.tls_url()
    }

    /// The plain port, for a [`Proxy`](crate::Proxy) before it.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.layout.ports.amqp))
    }

    /// The broker's process.
    ///
    /// # Panics
    /// Where it was killed and not started again.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("the node runs").pid()
    }

    /// Ends it without a warning, and waits until it is gone. Its data stays.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Asks it to end, and waits until it has put everything in order and is gone.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let server = self.server.take().context("the node does not run")?;
        process::send(server.pid(), Signal::SIGTERM)?;
        server.wait()
    }

    /// Starts it again on the same data and ports, and waits until it takes clients; one that still runs is killed first.
    ///
    /// # Errors
    /// Where it does not come up; the end of its log is in the error.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        let server = self.server.insert(Kept::start(self.layout.server()?)?);
        ready::wait(&self.layout, || server.has_ended())
    }

    /// Stops the process where it stands, and waits until all of its threads do; its sockets stay open.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn pause(&self) -> anyhow::Result<()> {
        let pid = self.pid();
        process::send(pid, Signal::SIGSTOP)?;
        while !process::stands_still(pid) {
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn resume(&self) -> anyhow::Result<()> {
        process::send(self.pid(), Signal::SIGCONT)
    }

    /// Runs `rabbitmqctl` on it, such as `["close_all_connections", "a reason"]`; gives what it printed.
    ///
    /// # Errors
    /// Where it fails; what it said is in the error.
    pub fn ctl(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = self.layout.ctl(words).output().context("cannot run rabbitmqctl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "rabbitmqctl {} failed ({}): {said}",
            words.join(" "),
            output.status
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        self.layout.last_words()
    }
}
