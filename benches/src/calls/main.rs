//! `calls`: what the calls plane adds to a request, and how long a call takes, beside bare programs and other proxies.
//!
//! - [`proxy`]: the streaming proxy beside a bare one on hyper, nginx, `HAProxy`, `http-proxy-middleware` and
//!   `@fastify/http-proxy`;
//! - [`ipc`]: calls of a Rust client on the Unix socket beside bare programs with the same lines;
//! - [`node`]: calls of the client for Node, on the Unix socket and over HTTP.
//!
//! A kilobyte goes each way of a call, and comes back through a proxy. Every connection is on the loopback and stays open. Each
//! proxy has one worker and keeps no access log; ours is a plain `outrigger run`, but for its log level: at `info` it has a line
//! for each call. One that stands between others has the first processor to itself; who asks, who answers and what hears a call
//! share the second, which is why they are as cheap as they are.

mod ipc;
mod load;
mod node;
mod proxy;
mod servers;
mod side;
mod site;

use std::{rc::Rc, time::Duration};

use benches::{
    case::{Case, Stage},
    interrupt,
    pin::Pins,
    report::Report,
    run,
};
use clap::Parser;

use load::Upstream;

/// Measures the calls plane.
#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    run: run::Options,
    /// Leave it to the system where each side runs.
    #[arg(long)]
    unpinned: bool,
}

/// No round begins that might end after this.
const LIMIT: Duration = Duration::from_mins(10);
/// Who is pinned.
const PINNED: &str = "proxies and outrigger on cpu {asker}, all others on cpu {handler}";

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    interrupt::takes_all_along()?;
    let pins = Pins::unless(options.unpinned, PINNED);
    let stage = Stage::new(run::folder()?, pins);
    let mut report = Report::new("calls", &stage);
    report.machine = format!("{}; {}", report.machine, servers::versions()?);
    let upstream = Rc::new(Upstream::start(pins.handler)?);
    let cases: Vec<Box<dyn Case>> = vec![
        Box::new(proxy::throughput(&upstream)),
        Box::new(proxy::latency(&upstream)),
        Box::new(proxy::paced(&upstream)),
        Box::new(proxy::connections("connections-10", 10, &upstream)),
        Box::new(proxy::connections("connections-100", 100, &upstream)),
        Box::new(proxy::connections("connections-1000", 1000, &upstream)),
        Box::new(ipc::Ipc::default()),
        Box::new(node::Calls::ipc()),
        Box::new(node::Calls::http()),
    ];
    options.run.measure(report, cases, &stage, LIMIT)
}
