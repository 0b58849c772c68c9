//! Attacks on the memory of a plane that may hold as little as one may.

use std::{
    io::{ErrorKind, Write},
    net::{SocketAddr, TcpStream},
    sync::PoisonError,
    thread,
    time::Duration,
};

use super::{CROWD, count, dropped, port, scale, send, stays_below_its_ceiling, waiting};
use crate::harness::{Field, Sidecar, wait_until, within};

/// A backend on which nobody listens.
const DEAD: &str = "type: http, url: \"http://127.0.0.1:1\"";
const FILE: &str = "type: file, path: out.jsonl";
/// Connections at once.
const CROWD_SIZE: usize = 500;
/// Connections that take turns on the processors.
const FEW: usize = 4;
/// How long millions of lines may take a debug build.
const LONG: Duration = Duration::from_mins(10);

/// A plane with one backend, `out`.
fn start(backend: &str) -> (Field, Sidecar) {
    let field = Field::new(&format!(
        "signals:
  tcp: {{ port: 0 }}
  max_memory_mb: 16
  buffers: {{ flush_interval: 0 }}
  backends: {{ out: {{ {backend} }} }}
"
    ));
    let run = field.run();
    (field, run)
}

fn connect(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    (0..count)
        .map(|_| TcpStream::connect(address).expect("it listens"))
        .collect()
}

/// Has a few connections send `parts` texts each; `text` makes one of the connection's number and the text's.
fn flood(address: SocketAddr, parts: usize, text: impl Fn(usize, usize) -> String + Sync) {
    thread::scope(|scope| {
        for (number, mut stream) in connect(address, FEW).into_iter().enumerate() {
            let text = &text;
            scope.spawn(move || {
                for part in 0..parts {
                    stream.write_all(text(number, part).as_bytes()).expect("it reads on");
                }
            });
        }
    });
}

/// Waits until so many lines were routed to the backend.
#[track_caller]
fn routed(run: &Sidecar, lines: usize) {
    within(LONG, "every line was routed", || {
        (count(run, "sidecar_messages_routed_total{backend=\"out\"}") == lines).then_some(())
    });
}

/// A good line comes through all the same.
#[track_caller]
fn still_serves(field: &Field, run: &Sidecar) {
    send(port(run), "{\"src\":\"late\",\"ts\":1,\"type\":\"x\"}\n");
    wait_until("a later line has come", || {
        let text = std::fs::read_to_string(field.path("out.jsonl")).unwrap_or_default();
        text.ends_with("{\"src\":\"late\",\"ts\":1,\"type\":\"x\"}\n")
            .then_some(())
    });
}

/// Attack: 500 connections each begin a line of 60 KB and do not end it.
/// Holds: those for whose lines there is no room are closed and counted; others are served.
#[test]
fn lines_that_never_end_take_no_more_memory_than_there_is() {
    let _alone = CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    let (field, run) = start(FILE);
    let mut connections = connect(port(&run), CROWD_SIZE);
    let begun = format!("{{\"src\":\"{}", "x".repeat(60_000));
    for connection in &mut connections {
        // One that is closed meanwhile cannot take it all.
        let _ = connection.write_all(begun.as_bytes());
    }
    wait_until("each connection is closed or waited for", || {
        let closed = dropped(&run, "buffer_full");
        (closed > 0 && closed + count(&run, "sidecar_active_connections") == CROWD_SIZE).then_some(())
    });
    still_serves(&field, &run);
    stays_below_its_ceiling(&run, "500 lines of 60 KB without an end");
}

/// Attack: 500 connections send lines, each line of a source of its own.
/// Holds: all of them arrive.
#[test]
fn sources_without_number_take_no_more_memory_than_there_is() {
    let lines = 600 * scale();
    let _alone = CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    let (field, run) = start(FILE);
    let mut texts: Vec<(TcpStream, Vec<u8>)> = connect(port(&run), CROWD_SIZE)
        .into_iter()
        .enumerate()
        .map(|(connection, stream)| {
            stream.set_nonblocking(true).expect("a socket");
            let line = |number| format!("{{\"src\":\"{connection}-{number}\",\"ts\":1,\"type\":\"x\"}}\n");
            (stream, (0..lines).map(line).collect::<String>().into_bytes())
        })
        .collect();
    within(LONG, "all of them have sent", || {
        for (stream, rest) in &mut texts {
            match stream.write(rest) {
                Ok(taken) => drop(rest.drain(..taken)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        texts.iter().all(|(_, rest)| rest.is_empty()).then_some(())
    });
    routed(&run, CROWD_SIZE * lines);
    still_serves(&field, &run);
    stays_below_its_ceiling(&run, &format!("{} sources over 500 connections", CROWD_SIZE * lines));
}

/// Attack: spans, each of a trace of its own, and all of one trace.
/// Holds: all of the lines arrive.
#[test]
fn spans_of_traces_without_number_take_no_more_memory_than_there_is() {
    let parts = 40 * scale();
    let (field, run) = start(FILE);
    flood(port(&run), parts, |sender, part| {
        let span = |number| {
            let trace = if sender == 0 {
                "all".to_owned()
            } else {
                format!("{sender}-{part}-{number}")
            };
            format!(
                "{{\"src\":\"s{sender}\",\"ts\":1,\"type\":\"span\",\"tid\":\"{trace}\",\"sid\":\"{part}-{number}\",\"data\":{{\"name\":\"n\",\"start\":1}}}}\n"
            )
        };
        (0..500).map(span).collect()
    });
    routed(&run, FEW * parts * 500);
    still_serves(&field, &run);
    stays_below_its_ceiling(&run, &format!("spans of {} traces", (FEW - 1) * parts * 500));
}

/// Attack: wrong lines, short and long ones, without a pause.
/// Holds: all of them are counted.
#[test]
fn wrong_lines_without_end_take_no_more_memory_than_there_is() {
    let parts = 40 * scale();
    let (field, run) = start(FILE);
    let long = "x".repeat(200_000);
    flood(port(&run), parts, |_, _| {
        let short = "rubbish\n{\"ts\":1}\n{\"src\":\"a\"}\n[1]\n\n".repeat(500);
        format!("{short}{long}\n")
    });
    let all = FEW * parts;
    wait_until("all of them are counted", || {
        let counts = ["not_json", "missing_src", "missing_ts", "too_long"].map(|reason| dropped(&run, reason));
        (counts.iter().sum::<usize>() == all * (4 * 500 + 1)).then_some(())
    });
    still_serves(&field, &run);
    stays_below_its_ceiling(&run, &format!("{} wrong lines", all * 2001));
}

/// Attack: a backend is dead and holds senders back; 500 connections send more than it has room for.
/// Holds: what they sent waits, in their sockets.
#[test]
fn a_dead_backend_that_holds_back_takes_no_more_memory_than_there_is() {
    let _alone = CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    let (_field, run) = start(&format!("{DEAD}, when_full: hold"));
    let connections = connect(port(&run), CROWD_SIZE);
    let pad = "x".repeat(2000);
    for (number, mut connection) in connections.iter().enumerate() {
        let line = format!("{{\"src\":\"s{number}\",\"ts\":1,\"type\":\"x\",\"data\":\"{pad}\"}}\n");
        connection.set_nonblocking(true).expect("a socket");
        let text = line.repeat(100);
        // What its socket takes is enough.
        let taken = connection.write(text.as_bytes()).expect("it takes something");
        assert!(taken > line.len());
    }
    wait_until("lines of each have been read", || {
        let (_, text) = run.get("/metrics");
        let sources = text
            .lines()
            .filter(|line| line.starts_with("sidecar_messages_received_total{source=\"s"));
        (sources.count() == CROWD_SIZE).then_some(())
    });
    assert_eq!(count(&run, "sidecar_active_connections"), CROWD_SIZE);
    assert_eq!(dropped(&run, "buffer_full"), 0);
    stays_below_its_ceiling(&run, "500 connections held back");
    run.kill();
}

/// Attack: a backend is dead and drops the newest lines; they are long, or each of a source of its own, and its queue may
/// have a million.
/// Holds: what there is no room for is counted.
#[test]
fn a_dead_backend_that_drops_takes_no_more_memory_than_there_is() {
    let parts = 10 * scale();
    for (what, policy) in [("newest", "drop_newest"), ("oldest", "drop_oldest")] {
        let (_field, run) = start(&format!("{DEAD}, when_full: {policy}, max_queue_size: 1000000"));
        let pad = "x".repeat(1500);
        flood(port(&run), parts, |sender, part| {
            let line = |number| {
                let pad = if sender == 0 { &*pad } else { "" };
                format!("{{\"src\":\"{sender}-{part}-{number}\",\"ts\":1,\"type\":\"x\",\"data\":\"{pad}\"}}\n")
            };
            (0..2000).map(line).collect()
        });
        wait_until("each line waits or is counted", || {
            let all = dropped(&run, "buffer_full") + waiting(&run, "out");
            (all == FEW * parts * 2000).then_some(())
        });
        assert!(dropped(&run, "buffer_full") > 0);
        stays_below_its_ceiling(&run, &format!("a dead backend that drops the {what}"));
        run.kill();
    }
}

/// Attack: as many as may watch do, and read nothing of what they are shown.
/// Holds: lines go on to their backend.
#[test]
fn watchers_that_do_not_read_take_no_more_memory_than_there_is() {
    const WATCHERS: usize = 16;
    let parts = 30 * scale();
    let (field, run) = start(FILE);
    let mut watchers = connect(run.admin(), WATCHERS);
    for watcher in &mut watchers {
        watcher
            .write_all(b"GET /tail HTTP/1.1\r\nHost: x\r\n\r\n")
            .expect("it takes it");
        // The first byte of the answer: it watches.
        watcher.peek(&mut [0]).expect("an answer");
    }
    let pad = "x".repeat(2000);
    flood(port(&run), parts, |sender, _| {
        format!("{{\"src\":\"s{sender}\",\"ts\":1,\"type\":\"x\",\"data\":\"{pad}\"}}\n").repeat(100)
    });
    routed(&run, FEW * parts * 100);
    still_serves(&field, &run);
    stays_below_its_ceiling(&run, "16 watchers that do not read");
    drop(watchers);
}
