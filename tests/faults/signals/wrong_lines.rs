//! Lines of every wrong kind, between good ones.

use std::{io::Write, net::TcpStream, thread};

use super::{
    arrived::{Arrived, line},
    dropped, health, port, stays_below_its_ceiling,
};
use crate::harness::{Field, rounds_of, wait_until};

const TO_A_FILE: &str = "signals:
  tcp: { port: 0 }
  max_memory_mb: 16
  buffers: { flush_interval: 0 }
  backends: { out: { type: file, path: out.jsonl } }
";

const CONNECTIONS: usize = 4;
const GOOD: usize = 300;

/// Lines that are no good, each for a reason of its own.
fn corpus() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "\r",
        " ",
        "rubbish",
        "null",
        "true",
        "17",
        "\"text\"",
        "[]",
        "{}",
        "{",
        "}",
        "{]",
        "{\"src\"",
        "{\"src\":\"a\",\"ts\":1,\"type\":\"x\"",
        "{\"src\":\"a\",\"ts\":1,\"type\":\"x\"}}",
        "{\"src\":\"a\",\"ts\":1,\"type\":\"x\"} {}",
        "{\"src\":\"a\",\"ts\":1,\"type\":\"x\",}",
        "{'src':'a','ts':1,'type':'x'}",
        "{\"src\":null,\"ts\":1,\"type\":\"x\"}",
        "{\"src\":\"\",\"ts\":1,\"type\":\"x\"}",
        "{\"src\":7,\"ts\":1,\"type\":\"x\"}",
        "{\"src\":[\"a\"],\"ts\":1,\"type\":\"x\"}",
        "{\"src\":\"a\",\"type\":\"x\"}",
        "{\"src\":\"a\",\"ts\":null,\"type\":\"x\"}",
        "{\"src\":\"a\",\"ts\":\"soon\",\"type\":\"x\"}",
        "{\"src\":\"a\",\"ts\":{},\"type\":\"x\"}",
        "{\"src\":\"a\",\"ts\":1}",
        "{\"src\":\"a\",\"ts\":1,\"type\":\"\"}",
        "{\"src\":\"a\",\"ts\":1,\"type\":3}",
        "{\"src\":\"a\",\"ts\":1,\"type\":\"x\",\"data\":{\"level\":}",
        "{\"src\":\"a\\ud800\",\"ts\":1,\"type\":\"x\"",
        "{\"type\":\"hello\",\"data\":{\"secret\":7,\"ack\":\"no\"}}",
        "{\"type\":\"heartbeat\"}",
        "{\"type\":\"goodbye\"}",
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.push(b"\xff\xfe\x00\x80".to_vec());
    all.push(b"{\"src\":\"\xc3\x28\",\"ts\":1,\"type\":\"x\"}".to_vec());
    all.push(b"{\"src\":\"a\x00b\",\"ts\":1,\"type\":\"x\"}".to_vec());
    all.push(vec![b'['; 60_000]);
    all.push(format!("{{\"src\":{}", "{\"a\":".repeat(10_000)).into_bytes());
    all.push(vec![0; 65_536]);
    all.push(vec![b' '; 65_537]);
    all.push(vec![b'x'; 1_000_000]);
    all.push(
        format!(
            "{{\"src\":\"a\",\"ts\":1,\"type\":\"x\",\"data\":\"{}\"}}",
            "y".repeat(65_536)
        )
        .into_bytes(),
    );
    all
}

/// Sent: wrong lines of a corpus, and good ones with a few bytes changed, cut or doubled, between good ones, over several
/// connections in pieces of any size.
/// Holds: the process stays up and below its ceiling; every good line arrives, once.
#[test]
fn good_lines_between_lines_of_every_wrong_kind_arrive() {
    rounds_of(3, 4, |round| {
        let field = Field::new(TO_A_FILE);
        let run = field.run();
        let wrong = corpus();
        let streams: Vec<(Vec<u8>, usize)> = (0..CONNECTIONS)
            .map(|connection| {
                let mut stream = Vec::new();
                for number in 0..GOOD {
                    for _ in 0..round.number_in(0..=3) {
                        if round.number_in(0..=1) == 0 {
                            stream.extend_from_slice(&wrong[round.number_in(0..=wrong.len() - 1)]);
                        } else {
                            stream.extend(spoilt(round));
                        }
                        stream.push(b'\n');
                    }
                    stream.extend_from_slice((line(&format!("good{connection}"), number) + "\n").as_bytes());
                }
                (stream, [1, 7, 1000, 100_000][round.number_in(0..=3)])
            })
            .collect();
        thread::scope(|scope| {
            for (stream, piece) in &streams {
                let address = port(&run);
                scope.spawn(move || {
                    let mut connection = TcpStream::connect(address).expect("it listens");
                    connection.set_nodelay(true).expect("a socket");
                    // Single bytes for a while only: each is a packet.
                    let (head, rest) = stream.split_at(stream.len().min(20_000 * piece));
                    for piece in head.chunks(*piece) {
                        connection.write_all(piece).expect("it reads on");
                    }
                    connection.write_all(rest).expect("it reads on");
                });
            }
        });
        let path = field.path("out.jsonl");
        let arrived = wait_until("every good line has come", || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            // Of what is at its end there may be a part.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let good = whole.lines().filter(|line| line.starts_with("{\"src\":\"good"));
            let arrived = Arrived::read(good);
            let is_all = |connection| arrived.different(&format!("good{connection}")) == GOOD;
            (0..CONNECTIONS).all(is_all).then_some(arrived)
        });
        assert_eq!(arrived.repeated(), 0);
        let reasons = ["too_long", "not_json", "missing_src", "missing_ts", "missing_type"];
        let counts = reasons.map(|reason| (reason, dropped(&run, reason)));
        eprintln!("{counts:?} were dropped");
        assert!(counts.iter().all(|(_, count)| *count > 0), "{counts:?}");
        assert_eq!(health(&run)["status"], "healthy");
        stays_below_its_ceiling(&run, "lines of every wrong kind");
        assert!(run.stop().success());
    });
}

/// A line of a source of its own with a few bytes changed, cut or doubled; it may still be one.
fn spoilt(round: &mut crate::harness::Round) -> Vec<u8> {
    let mut bytes = line("spoilt", 0).into_bytes();
    for _ in 0..round.number_in(1..=4) {
        let at = round.number_in(0..=bytes.len() - 1);
        match round.number_in(0..=2) {
            0 => bytes[at] = u8::try_from(round.number_in(0..=255)).expect("a byte"),
            1 => bytes.truncate(at + 1),
            _ => bytes.extend_from_within(at..),
        }
    }
    // What follows a line feed would be another line.
    bytes.retain(|byte| *byte != b'\n');
    bytes
}
