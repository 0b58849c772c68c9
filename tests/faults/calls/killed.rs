//! An upstream that is a process, and is killed.

use std::{fs, thread};

use super::{
    client::{Client, get},
    gauge::{Bound, Gauge},
};
use crate::harness::{Field, Foreign, Round, Sidecar, Signal, rounds_of};

/// A service that begins every answer and ends none.
const UPSTREAM: &str = include_str!("upstream.py");
/// Answers under way when it is killed.
const ANSWERS: usize = 16;

/// Starts the service on a port, which it may choose where that is 0.
#[track_caller]
fn start(field: &Field, port: &str) -> (Foreign, String) {
    let _ = fs::remove_file(field.path("port"));
    let upstream = Foreign::script(field, UPSTREAM, &[port], "port");
    let port = fs::read_to_string(field.path("port")).expect("it names its port");
    (upstream, port)
}

/// Kills the service while it answers; gives it back, started anew.
fn kill(field: &Field, sidecar: &Sidecar, upstream: Foreign, own: &str, round: &mut Round) -> Foreign {
    let address = sidecar.calls();
    let mut clients: Vec<Client> = (0..ANSWERS)
        .map(|number| {
            let mut client = Client::connect(address);
            client.ask(if number % 2 == 0 { "/up/length" } else { "/up/chunks" });
            client
        })
        .collect();
    for client in &mut clients {
        let head = client.head().expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        // A byte of the body has come: its middle.
        client.byte().expect("a byte");
    }
    round.moment();
    upstream.signal(Signal::SIGKILL);
    drop(upstream);
    thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(move || client.breaks_off());
        }
    });
    get(address, "/up/length").is_error(503, "Sidecar unavailable");
    start(field, own).0
}

/// Killed: the process of an upstream, with SIGKILL, while 16 answers of it stream through.
/// Holds: every one of them breaks off, none looks complete; then 503 until it is there again, and at once an answer when it is.
#[test]
fn an_upstream_that_is_killed_in_a_body_never_makes_it_look_complete() {
    let field = Field::new("");
    let (upstream, own) = start(&field, "0");
    let mut upstream = Some(upstream);
    field.configure(&format!(
        "calls:
  listen: [ \"http://127.0.0.1:0\" ]
  upstreams: {{ up: {{ urls: [ \"http://127.0.0.1:{own}\" ], timeouts: {{ connect: 60s, headers: 60s }}, breaker: off }} }}
  routes: [ {{ prefix: /up, upstream: up }} ]
"
    ));
    let sidecar = field.run();
    let mut gauge = None;
    rounds_of(4, 10, |round| {
        let running = upstream.take().expect("it was started anew");
        upstream = Some(kill(&field, &sidecar, running, &own, round));
        gauge.get_or_insert_with(|| Gauge::new(&sidecar));
    });
    gauge.expect("a round").is_back("an upstream killed", Bound::FEW);
    assert!(sidecar.stop().success());
}
