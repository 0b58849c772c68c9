//! The broker of all sides, and a place on it for each of them.

use std::{cell::Cell, path::Path};

use anyhow::Context;
use benches::procfs;
use rabbit_node::{Node, Settings};

use super::client::Client;

/// A node of the bench's own; it ends when this is dropped.
pub(crate) struct Broker {
    node: Node,
    places: Cell<u32>,
    // Dropped last: the node's files lie there.
    _folder: tempfile::TempDir,
}

/// A virtual host that is deleted when this is dropped, and a client on it.
pub(crate) struct Place<'a> {
    broker: &'a Broker,
    name: String,
    pub(crate) url: String,
    client: Client,
}

/// What kind of queue messages wait in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Version 2.
    Classic,
    Quorum,
}

impl Broker {
    pub(crate) fn start(parent: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("rabbit-").tempdir_in(parent)?;
        let node = Node::start(folder.path(), &Settings::default())?;
        Ok(Self {
            node,
            places: Cell::new(0),
            _folder: folder,
        })
    }

    /// An empty place.
    pub(crate) fn place(&self) -> anyhow::Result<Place<'_>> {
        self.places.set(self.places.get() + 1);
        let name = format!("p{}", self.places.get());
        self.node.ctl(&["add_vhost", &name])?;
        self.node
            .ctl(&["set_permissions", "-p", &name, "guest", ".*", ".*", ".*"])?;
        let url = self.node.url();
        let server = url
            .strip_suffix("%2f")
            .context("the node's URL names its virtual host")?;
        let url = format!("{server}{name}");
        Ok(Place {
            broker: self,
            client: Client::connect(&url)?,
            name,
            url,
        })
    }

    /// The processor time that the broker has taken so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<std::time::Duration> {
        procfs::cpu(self.node.pid())
    }
}

impl Place<'_> {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // What is left in it costs memory, and no more than that.
        if let Err(error) = self.broker.node.ctl(&["delete_vhost", &self.name]) {
            eprintln!("warning: {error}");
        }
    }
}

impl Kind {
    /// As the product's configuration has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }
}
