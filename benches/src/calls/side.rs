//! Those who stand between who asks and the upstream.

use std::{path::Path, time::Duration};

use benches::{
    case::{Stage, rest},
    peer::{Killed, free_port},
    process::Process,
    procfs,
};

use crate::{
    load::{Figures, Load, Upstream},
    servers,
};

/// Who stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Ours,
    /// The floor.
    Hyper,
    Nginx,
    Haproxy,
    Middleware,
    Fastify,
    /// Nobody: the upstream itself is asked.
    Direct,
}

/// One of them at work; it ends when this is dropped.
pub(crate) struct Proxy {
    who: Who,
    pub(crate) port: u16,
    _folder: tempfile::TempDir,
}

enum Who {
    Ours(Box<Process>),
    Other(Killed),
    Nobody,
}

impl Side {
    /// All that can be compared.
    pub(crate) const ALL: &[Self] = &[
        Self::Ours,
        Self::Hyper,
        Self::Nginx,
        Self::Haproxy,
        Self::Middleware,
        Self::Fastify,
        Self::Direct,
    ];
    /// Other systems.
    pub(crate) const PEERS: &[Self] = &[Self::Nginx, Self::Haproxy, Self::Middleware, Self::Fastify];

    /// As reports have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Hyper => "hyper",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Middleware => "http-proxy-middleware",
            Self::Fastify => "@fastify/http-proxy",
            Self::Direct => "direct",
        }
    }

    /// Starts it, asks it, and ends it.
    pub(crate) fn measure(self, stage: &Stage, load: &Load, upstream: &Upstream) -> anyhow::Result<Figures> {
        let proxy = self.start(stage, upstream.port)?;
        let figures = load.run(&proxy, upstream, stage.pins.handler)?;
        proxy.stop()?;
        rest();
        Ok(figures)
    }

    fn start(self, stage: &Stage, upstream: u16) -> anyhow::Result<Proxy> {
        let folder = tempfile::Builder::new().prefix("calls-").tempdir_in(&stage.folder)?;
        let (at, cpu) = (folder.path(), stage.pins.asker);
        let mut port = free_port()?;
        let mut who = match self {
            Self::Ours => Who::Ours(Box::new(ours(at, port, upstream, stage)?)),
            Self::Hyper => {
                let (bare, its_own) = servers::hyper(upstream, cpu)?;
                port = its_own;
                Who::Other(bare)
            }
            Self::Nginx => Who::Other(servers::nginx(at, port, upstream, cpu)?),
            Self::Haproxy => Who::Other(servers::haproxy(at, port, upstream, cpu)?),
            Self::Middleware => Who::Other(servers::node("middleware.cjs", at, port, upstream, cpu)?),
            Self::Fastify => Who::Other(servers::node("fastify.cjs", at, port, upstream, cpu)?),
            Self::Direct => {
                port = upstream;
                Who::Nobody
            }
        };
        if let Who::Other(process) = &mut who {
            servers::listens(process, self.name(), port, at)?;
        }
        Ok(Proxy {
            who,
            port,
            _folder: folder,
        })
    }
}

/// Starts ours as a proxy of everything.
fn ours(folder: &Path, port: u16, upstream: u16, stage: &Stage) -> anyhow::Result<Process> {
    let config = format!(
        "log: {{ level: warn }}\ncalls:\n  listen: [ \"http://127.0.0.1:{port}\" ]\n  upstreams: {{ all: {{ urls: [ \
         \"http://127.0.0.1:{upstream}\" ] }} }}\n  routes: [ {{ prefix: /, upstream: all }} ]\n"
    );
    let mut process = Process::start(folder, "outrigger", &config, stage.pins.asker)?;
    process.settled()?;
    Ok(process)
}

impl Proxy {
    /// The processor time that its processes have taken so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let id = match &self.who {
            Who::Ours(process) => process.id(),
            Who::Other(process) => process.id(),
            Who::Nobody => return Ok(Duration::ZERO),
        };
        procfs::tree(id).into_iter().map(procfs::cpu_of_threads).sum()
    }

    fn stop(self) -> anyhow::Result<()> {
        match self.who {
            Who::Ours(process) => process.stop(),
            Who::Other(_) | Who::Nobody => Ok(()),
        }
    }
}
