//! The end of the process: what was sent is read, what was read is delivered.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{TO_A_FILE, event, lines_of, port};
use crate::harness::{Asked, Field, Said, Signal, Web, wait_until};

/// A number of bytes that a sender's socket took, as whole lines.
fn lines_in(bytes: usize, line: usize) -> usize {
    bytes / line
}

#[test]
fn on_a_unix_socket_every_line_that_was_taken_is_delivered() {
    let field = Field::new(&TO_A_FILE.replace("tcp: { port: 0 }", "unix: { path: s.sock }"));
    let sidecar = field.run();
    let line = event("a", 7) + "\n";
    let length = line.len();
    let (loaded, is_loaded) = mpsc::sync_channel(1);
    let mut stream = UnixStream::connect(field.path("s.sock")).unwrap();
    let sender = thread::spawn(move || {
        let chunk = line.repeat(100);
        let mut taken = 0;
        loop {
            match stream.write(&chunk.as_bytes()[taken % chunk.len()..]) {
                Ok(bytes) => taken += bytes,
                Err(error) => {
                    assert!(
                        matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
                        "{error}"
                    );
                    return taken;
                }
            }
            if taken > 2_000_000 {
                let _ = loaded.try_send(());
            }
        }
    });
    is_loaded.recv().unwrap();
    assert!(sidecar.stop().success());
    let taken = sender.join().unwrap();
    assert_eq!(lines_of(&field.path("out.jsonl")).len(), lines_in(taken, length));
}

#[test]
fn on_tcp_a_sender_that_stops_when_it_is_told_loses_nothing() {
    let field = Field::new(TO_A_FILE);
    let sidecar = field.run();
    let line = event("a", 7) + "\n";
    let (loaded, is_loaded) = mpsc::sync_channel(1);
    let mut stream = TcpStream::connect(port(&sidecar)).unwrap();
    let mut ear = stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        let told = thread::spawn(move || ear.read(&mut [0]).expect("an end"));
        let mut sent = 0;
        while !told.is_finished() {
            stream.write_all(line.as_bytes()).expect("it reads on");
            sent += 1;
            if sent > 20_000 {
                let _ = loaded.try_send(());
            }
        }
        stream.shutdown(Shutdown::Write).unwrap();
        sent
    });
    is_loaded.recv().unwrap();
    assert!(sidecar.stop().success());
    let sent = sender.join().unwrap();
    assert_eq!(lines_of(&field.path("out.jsonl")).len(), sent);
}

#[test]
fn what_still_waits_for_others_is_delivered_at_the_end() {
    let field = Field::new(&TO_A_FILE.replace("flush_interval: 0", "flush_interval: 1h"));
    let sidecar = field.run();
    super::send(port(&sidecar), &[event("a", 1), event("a", 2)]);
    wait_until("they wait", || {
        (sidecar.metric("sidecar_buffer_size{source=\"a\"}") == 2).then_some(())
    });
    assert!(!field.path("out.jsonl").exists());
    assert!(sidecar.stop().success());
    assert_eq!(lines_of(&field.path("out.jsonl")).len(), 2);
}

#[test]
fn what_a_dead_backend_did_not_take_in_time_is_told() {
    let web = Web::on_port(|_: &Asked| Said::with(503, &[], ""));
    let field = Field::new(&format!(
        "signals:
  tcp: {{ port: 0 }}
  buffers: {{ flush_interval: 0 }}
  backends: {{ web: {{ type: http, url: \"{}\" }} }}
",
        web.address()
    ));
    let sidecar = field.start(&["run", "--grace", "1s"], &[]);
    sidecar.ready();
    super::send(port(&sidecar), &[event("a", 1), event("a", 2)]);
    wait_until("they wait", || {
        (sidecar.metric("sidecar_buffer_size{source=\"a\"}") == 2).then_some(())
    });
    sidecar.signal(Signal::SIGTERM);
    let log = field.path("log.0");
    let status = sidecar.ended(Duration::from_secs(30));
    assert_eq!(status.code(), Some(75));
    let said = std::fs::read_to_string(log).unwrap();
    assert!(
        said.contains("the grace ended before a backend had its lines") && said.contains("\"lines\":2"),
        "{said}"
    );
}
