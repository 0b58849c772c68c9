//! A line between the sidecar and the broker that is cut and delayed at random bytes.

use std::time::Duration;

use rabbit_node::{Proxy, Trouble};

use crate::{
    harness::wait_until,
    line::called,
    rabbitmq::town::{MESSAGES, Outcome, Town, load, loaded, rounds_in},
};

/// Cut: every connection, after a random number of bytes, again and again; each piece is held for a while.
/// Holds: every message comes out.
#[test]
fn a_line_that_is_cut_at_random_bytes_loses_nothing() {
    let mut town = Town::new();
    rounds_in(&mut town, |town, round| {
        let line = Proxy::between(town.node.address()).expect("a line");
        let field = town.street(round, Some(&line));
        let up = field.up();
        load(&field, MESSAGES);
        called(&field, 1 + round.number_in(0..=MESSAGES / 2));
        line.trouble(Trouble {
            seed: round.seed,
            bytes: 2_000..=60_000,
            delay: Duration::from_millis(2),
        });
        for _ in 0..3 {
            let before = field.notes().calls.len();
            line.cut();
            // Until work goes on, or is done: it may be quicker than the cuts.
            wait_until("work goes on after a cut", || {
                let calls = field.notes().calls.len();
                (calls > before || calls >= 2 * MESSAGES).then_some(())
            });
        }
        assert!(line.cuts() > 0, "nothing was cut");
        line.calm();
        line.cut();
        let outcome = Outcome::collect(&field, round, &loaded(MESSAGES));
        eprintln!(
            "{} cuts, {} calls and {} outputs were repeated",
            line.cuts(),
            field.notes().repeated(),
            outcome.repeated()
        );
        assert!(up.stop().success());
    });
}

/// Cut: as above, and the sidecar is killed in the middle.
/// Holds: as above.
#[test]
fn a_line_that_is_cut_and_a_sidecar_that_is_killed_lose_nothing() {
    let mut town = Town::new();
    rounds_in(&mut town, |town, round| {
        let line = Proxy::between(town.node.address()).expect("a line");
        let field = town.street(round, Some(&line));
        let up = field.up();
        load(&field, MESSAGES);
        line.trouble(Trouble {
            seed: round.seed,
            bytes: 5_000..=60_000,
            delay: Duration::from_millis(2),
        });
        line.cut();
        called(&field, 1 + round.number_in(0..=MESSAGES / 2));
        round.moment();
        up.kill();
        line.calm();
        line.cut();
        let up = field.up();
        Outcome::collect(&field, round, &loaded(MESSAGES));
        assert!(up.stop().success());
    });
}
