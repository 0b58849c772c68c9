//! SIGTERM under full load: what was taken is delivered, and who does not stop is told of.

use super::{
    arrived::Arrived,
    port,
    senders::{Account, Manners, Sender},
};
use crate::harness::{Field, Round, Sidecar, rounds_of};

const SENDERS: usize = 3;

const TO_A_FILE: &str = "signals:
  tcp: { port: 0 }
  unix: { path: s.sock }
  buffers: { flush_interval: 0 }
  backends: { out: { type: file, path: out.jsonl } }
";

/// Asks `run` to leave at a random moment of the senders' work; gives what they know and what is in the file.
#[track_caller]
fn left(field: &Field, run: Sidecar, senders: Vec<Sender>, round: &mut Round) -> (Vec<Account>, Arrived) {
    let least = round.number_in(1..=3000);
    for sender in &senders {
        sender.has_sent(least);
    }
    round.moment();
    let status = run.stop();
    assert!(status.success(), "it ended with {status}");
    let accounts = senders.into_iter().map(Sender::end).collect();
    (accounts, Arrived::in_file(&field.path("out.jsonl")))
}

/// Leaves while senders of this kind send; every line that their sockets took has to be in the file, once.
#[track_caller]
fn all_that_was_sent_arrives(round: &mut Round, sender: impl Fn(&Field, &Sidecar, &str) -> Sender) {
    let field = Field::new(TO_A_FILE);
    let run = field.run();
    let senders = (0..SENDERS).map(|number| sender(&field, &run, &format!("s{number}")));
    let senders = senders.collect();
    let (accounts, arrived) = left(&field, run, senders, round);
    for account in &accounts {
        assert_eq!(arrived.first_lines_of(account), account.sent, "of {}", account.source);
    }
    assert_eq!(arrived.repeated(), 0);
}

fn silent(stops: bool) -> Manners {
    Manners { asks: false, stops }
}

/// Asked to leave: `run`, while senders on its Unix socket go on until they cannot.
/// Holds: every line that a socket took is in the file, once.
#[test]
fn sigterm_loses_no_line_that_a_unix_socket_took() {
    rounds_of(4, 2, |round| {
        all_that_was_sent_arrives(round, |field, _, source| {
            Sender::unix(&field.path("s.sock"), source, silent(false))
        });
    });
}

/// Asked to leave: `run`, while senders on TCP go on until they read the end of the stream.
/// Holds: every line that they sent is in the file, once.
#[test]
fn sigterm_loses_no_line_of_a_tcp_sender_that_stops_at_the_end_of_the_stream() {
    rounds_of(4, 2, |round| {
        all_that_was_sent_arrives(round, |_, run, source| Sender::tcp(port(run), source, silent(true)));
    });
}

/// Asked to leave: `run`, while senders go on that are told which of their lines are safe: on its Unix socket, on TCP until
/// they read the end of the stream, and on TCP until they cannot.
/// Holds: the last count that each was told is the number of its lines in the file.
#[test]
fn sigterm_leaves_each_sender_that_asks_with_the_exact_count() {
    rounds_of(3, 4, |round| {
        let field = Field::new(TO_A_FILE);
        let run = field.run();
        let asks = |stops| Manners { asks: true, stops };
        let senders = vec![
            Sender::unix(&field.path("s.sock"), "unix", asks(false)),
            Sender::tcp(port(&run), "stops", asks(true)),
            Sender::tcp(port(&run), "goes-on", asks(false)),
        ];
        let (accounts, arrived) = left(&field, run, senders, round);
        for account in &accounts {
            let came = arrived.first_lines_of(account);
            eprintln!(
                "{}: {} sent, {} acknowledged, {came} came",
                account.source, account.sent, account.acked
            );
            assert_eq!(came, account.acked, "of {}", account.source);
        }
        assert_eq!(arrived.repeated(), 0);
    });
}

/// Asked to leave: `run`, while a sender on TCP does not stop when it is told, and another does.
/// Holds: it ends all the same; the log tells of the one; the lines of both that are there are whole and the first ones.
#[test]
fn sigterm_tells_of_a_sender_that_does_not_stop() {
    rounds_of(2, 10, |round| {
        let field = Field::new(TO_A_FILE);
        let run = field.run();
        let senders = vec![
            Sender::tcp(port(&run), "goes-on", silent(false)),
            Sender::tcp(port(&run), "stops", silent(true)),
        ];
        let log = field.path("log.0");
        let (accounts, arrived) = left(&field, run, senders, round);
        let came = arrived.first_lines_of(&accounts[0]);
        eprintln!("{} lines were sent, {came} came", accounts[0].sent);
        assert_eq!(arrived.first_lines_of(&accounts[1]), accounts[1].sent);
        let said = std::fs::read_to_string(log).expect("its log");
        let told = said
            .lines()
            .filter(|line| line.contains("a sender goes on after it was told to stop"));
        assert_eq!(told.count(), 1, "{said}");
    });
}
