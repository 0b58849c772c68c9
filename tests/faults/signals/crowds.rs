//! Many senders, and slow ones.

use std::{
    io::Write,
    net::TcpStream,
    sync::{
        PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    CROWD,
    arrived::{Arrived, line, lines},
    count, is_long, nothing_waits, port, send, stays_below_its_ceiling,
};
use crate::harness::{Field, wait_until};

const TO_A_FILE: &str = "signals:
  tcp: { port: 0 }
  max_memory_mb: 16
  buffers: { flush_interval: 0 }
  backends: { out: { type: file, path: out.jsonl } }
";

/// Slow: a client that sends a byte a second, beside one that sends as fast as it can until the other is done.
/// Holds: the lines of both arrive, every one.
#[test]
fn a_client_that_sends_a_byte_a_second_holds_nobody_up_and_is_heard() {
    const PART: usize = 1000;
    let field = Field::new(
        "signals:
  tcp: { port: 0 }
  buffers: { flush_interval: 0 }
  routing: { slow: [{ backend: out }], busy: [{ backend: away }] }
  backends: { out: { type: file, path: out.jsonl }, away: { type: blackhole } }
",
    );
    let run = field.run();
    let address = port(&run);
    // It is the client that is slow; where there is less time, it is less slow.
    let pause = Duration::from_millis(if is_long() { 1000 } else { 15 });
    let slow = line("slow", 0) + "\n";
    let part = lines("busy", PART);
    let done = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.set_nodelay(true).expect("a socket");
            for byte in slow.bytes() {
                stream.write_all(&[byte]).expect("it reads on");
                thread::sleep(pause);
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut sent = 0;
        while !done.load(Ordering::SeqCst) {
            // Each part is waited for before the next: the slow one is never in the way.
            send(address, &part);
            sent += PART;
            wait_until("the lines of the busy one have come", || {
                (count(&run, "sidecar_messages_routed_total{backend=\"away\"}") == sent).then_some(())
            });
        }
        sent
    });
    nothing_waits(&run, "away");
    wait_until("the line of the slow one has come", || {
        (Arrived::so_far_in(&field.path("out.jsonl")).different("slow") == 1).then_some(())
    });
    eprintln!("{sent} lines came while the slow client sent one");
    assert!(run.stop().success());
}

/// A crowd: 500 connections at once, each of which sends lines while all of them are open.
/// Holds: every line arrives, once; the process stays below its ceiling.
#[test]
fn the_lines_of_500_connections_arrive_in_little_memory() {
    const CONNECTIONS: usize = 500;
    const LINES: usize = 200;
    let _alone = CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    let field = Field::new(TO_A_FILE);
    let run = field.run();
    let connect = |_| TcpStream::connect(port(&run)).expect("it listens");
    let connections: Vec<TcpStream> = (0..CONNECTIONS).map(connect).collect();
    wait_until("all of them are served", || {
        (count(&run, "sidecar_active_connections") == CONNECTIONS).then_some(())
    });
    for (number, mut connection) in connections.iter().enumerate() {
        let text = lines(&format!("s{number}"), LINES);
        connection.write_all(text.as_bytes()).expect("it takes them");
    }
    let path = field.path("out.jsonl");
    let arrived = wait_until("every line has come", || {
        let arrived = Arrived::so_far_in(&path);
        let is_whole = |number| arrived.different(&format!("s{number}")) == LINES;
        (0..CONNECTIONS).all(is_whole).then_some(arrived)
    });
    assert_eq!(arrived.repeated(), 0);
    stays_below_its_ceiling(&run, "500 connections");
    drop(connections);
    assert!(run.stop().success());
}
