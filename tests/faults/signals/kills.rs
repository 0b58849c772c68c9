//! SIGKILL of a plane whose buffers are on disk.

use super::{
    arrived::Arrived,
    nothing_waits, port,
    senders::{Account, Manners, Sender},
};
use crate::harness::{Asked, Field, Said, Web, rounds_of};

const SENDERS: usize = 3;
const KILLS: usize = 2;
/// Lines in one request.
const BATCH: usize = 50;

fn config(url: &str) -> String {
    format!(
        "signals:
  tcp: {{ port: 0 }}
  buffers: {{ flush_interval: 0 }}
  backends:
    web: {{ type: http, url: \"{url}\", flush_batch_size: {BATCH}, buffer: {{ type: disk }} }}
    out: {{ type: file, path: out.jsonl, buffer: {{ type: disk }} }}
"
    )
}

/// Killed: `run`, twice, at random moments while senders send and are told which of their lines are safe.
/// Holds: after the next start every line that was acknowledged is at both backends, each whole; what is missing of a sender
/// is what it sent last; a kill repeats what was under way to a backend and nothing else, to the server a batch at most.
#[test]
fn sigkill_loses_no_line_that_was_acknowledged_and_repeats_only_what_was_under_way() {
    rounds_of(4, 4, |round| {
        let web = Web::on_port(|_: &Asked| Said::with(200, &[], ""));
        let field = Field::new(&config(web.address()));
        let mut accounts: Vec<Account> = Vec::new();
        let mut run = field.run();
        for kill in 0..KILLS {
            let manners = Manners {
                asks: true,
                stops: true,
            };
            let sender = |number| Sender::tcp(port(&run), &format!("s{number}-{kill}"), manners);
            let senders: Vec<Sender> = (0..SENDERS).map(sender).collect();
            let least = round.number_in(1..=1500);
            for sender in &senders {
                sender.has_acked(least);
            }
            round.moment();
            run.kill();
            accounts.extend(senders.into_iter().map(Sender::end));
            run = field.run();
        }
        nothing_waits(&run, "web");
        nothing_waits(&run, "out");
        assert!(run.stop().success());
        let asked = web.asked();
        let at_web = Arrived::in_requests(&asked);
        let in_file = Arrived::in_file_after(KILLS, &field.path("out.jsonl"));
        let (mut sent, mut told, mut came) = (0, 0, [0, 0]);
        for account in &accounts {
            sent += account.sent;
            told += account.acked;
            came[0] += at_web.first_lines_of(account);
            came[1] += in_file.first_lines_of(account);
        }
        let repeated = [at_web.repeated(), in_file.repeated()];
        eprintln!(
            "{KILLS} kills: {sent} lines were sent, {told} acknowledged; {came:?} came to the server and the file, {repeated:?} of them again"
        );
        assert!(repeated[0] <= KILLS * BATCH, "a kill repeats a batch at most");
    });
}
