//! The calls plane under faults: upstreams and handlers that die, stall and lie, clients that are slow, leave and come in crowds.
//!
//! Every test has steady callers beside it, who are to get right answers alone, and measures memory and descriptors before,
//! during and after.

mod client;
mod clients;
mod crowd;
mod gauge;
mod handlers;
mod ipc;
mod killed;
mod server;
mod soak;
mod steady;
mod upstreams;
mod vectors;

use std::{net::SocketAddr, path::PathBuf};

use self::server::Server;
use crate::harness::{Answer, Field, Plain, Sidecar};

/// A process that takes calls, and everything behind it.
///
/// `/good` leads to a service that answers, `/bad` and `/late` to one that has every fault (see [`server::bad`]); the function
/// `echo` answers with its argument, `hold` never, and `mortal` dies as its argument says.
struct Scene {
    field: Field,
    sidecar: Sidecar,
    /// The service with the faults.
    bad: Server,
    _good: Server,
    _handlers: [Plain; 3],
}

/// Where an answer is due there is more time for it than a loaded machine needs; `late` has little for a head, `bad` for a body.
const CONFIG: &str = "calls:
  listen: [ \"http://127.0.0.1:0\", \"ipc:calls.sock\" ]
  functions:
    - { name: echo, handler: { socket: echo.sock, dialect: plain }, args: [ { name: x, schema: {} } ] }
    - { name: hold, handler: { socket: hold.sock, dialect: plain }, args: [ { name: x, schema: {} } ], concurrency: 512 }
    - { name: mortal, handler: { socket: mortal.sock, dialect: plain }, args: [ { name: x, schema: {} } ] }
    - { name: lateOne, handler: { socket: hold.sock, dialect: plain }, args: [ { name: x, schema: {} } ], timeout: 500ms, concurrency: 512 }
  upstreams:
    good: { urls: [ \"GOOD\" ], timeouts: { connect: 60s, headers: 60s } }
    bad: { urls: [ \"BAD\" ], timeouts: { connect: 60s, headers: 60s, idle: 500ms }, breaker: off }
    late: { urls: [ \"BAD\" ], timeouts: { connect: 60s, headers: 500ms }, breaker: off, host: upstream }
  routes:
    - { prefix: /good, upstream: good }
    - { prefix: /bad, upstream: bad }
    - { prefix: /late, upstream: late }
";

impl Scene {
    #[track_caller]
    fn new() -> Self {
        Self::started(|field| field.start(&["run"], &[]))
    }

    /// Has the process started in a way of the test's own.
    #[track_caller]
    fn started(start: impl FnOnce(&Field) -> Sidecar) -> Self {
        let (good, bad) = (Server::start(server::good), Server::start(server::bad));
        let field = Field::new(&CONFIG.replace("GOOD", &good.url()).replace("BAD", &bad.url()));
        let handlers = [
            Plain::echo(&field.path("echo.sock")),
            Plain::at(&field.path("hold.sock"), |_| Answer::Silence),
            Plain::at(&field.path("mortal.sock"), handlers::mortal),
        ];
        let sidecar = start(&field);
        sidecar.ready();
        Self {
            field,
            sidecar,
            bad,
            _good: good,
            _handlers: handlers,
        }
    }

    /// Where calls are taken over HTTP.
    #[track_caller]
    fn port(&self) -> SocketAddr {
        self.sidecar.calls()
    }

    /// Where calls are taken over the Unix socket.
    fn socket(&self) -> PathBuf {
        self.field.path("calls.sock")
    }

    /// Calls that were given up, of a function and a way.
    fn canceled(&self, function: &str, way: &str) -> i64 {
        self.sidecar.metric(&format!(
            "sidecar_calls_total{{package=\"main\",function=\"{function}\",way=\"{way}\",outcome=\"canceled\"}}"
        ))
    }
}

/// How much more is done in the long rounds.
fn scale() -> usize {
    if is_long() { 10 } else { 1 }
}

/// Whether there is time for more.
fn is_long() -> bool {
    std::env::var_os("OUTRIGGER_FAULT_ROUNDS").is_some()
}
