//! `ipc-node` and `http-node`: how long a call of the client for Node takes, one at a time, on the Unix socket and over HTTP.

use std::process::Command;

use anyhow::ensure;
use benches::{
    case::{Case, Stage, rest},
    figures::median,
    report::Row,
};

use crate::{servers::programs, site::Site};

/// Calls of `peers/caller.mjs`.
pub(crate) struct Calls {
    names: [&'static str; 1],
    way: Way,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Ipc,
    Http,
}

/// Calls before those that count, and these.
const CALLS: [&str; 2] = ["5000", "10000"];

impl Calls {
    /// On the Unix socket.
    pub(crate) fn ipc() -> Self {
        Self::new("ipc-node", Way::Ipc)
    }

    /// Over HTTP.
    pub(crate) fn http() -> Self {
        Self::new("http-node", Way::Http)
    }

    fn new(name: &'static str, way: Way) -> Self {
        Self {
            names: [name],
            way,
            p50: Vec::new(),
            p99: Vec::new(),
        }
    }
}

impl Case for Calls {
    fn names(&self) -> &[&'static str] {
        &self.names
    }

    fn round(&mut self, stage: &Stage, _: u32) -> anyhow::Result<String> {
        let site = Site::start(stage)?;
        let mut command = Command::new("node");
        command.arg(programs().join("caller.mjs"));
        match self.way {
            Way::Ipc => command.arg("ipc").arg(site.socket()),
            Way::Http => command.args(["http", &site.url]),
        };
        let output = stage.pins.handler.with(|| command.args(CALLS).output())?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "caller.mjs ended with {}: {words}",
            output.status
        );
        site.stop()?;
        rest();
        let said = String::from_utf8_lossy(&output.stdout);
        let numbers: Result<Vec<f64>, _> = said.split_ascii_whitespace().map(str::parse).collect();
        let [p50, p99] = numbers?[..] else {
            anyhow::bail!("caller.mjs said `{said}`")
        };
        self.p50.push(p50 / 1e3);
        self.p99.push(p99 / 1e3);
        Ok(format!("p50 {:.1} us, p99 {:.1} us", p50 / 1e3, p99 / 1e3))
    }

    fn rows(&self) -> Vec<Row> {
        let note = format!("p99 {:.1} us", median(&self.p99));
        vec![Row::new(self.names[0], "us", median(&self.p50), note)]
    }
}
