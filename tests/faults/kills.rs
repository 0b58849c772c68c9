//! SIGKILL, of the sidecar, of handlers, of both.

use std::time::{Duration, Instant};

use crate::{
    harness::{Field, Foreign, Round, Sidecar, Signal, is_alive, rounds, signal_if_there, wait_until},
    line::{CONCURRENCY, called, foreign, ours, out_exactly_once},
};

const MESSAGES: usize = 120;
/// Each message is called at two actors.
const CALLS: usize = 2 * MESSAGES;
/// Calls under way at one moment, at both actors.
const IN_FLIGHT: usize = 2 * CONCURRENCY;

/// Killed: `up`, twice, at random moments from its first call on; its handlers go with it.
/// Holds: each message comes out once; no more calls are repeated than were under way at the kills.
#[test]
fn sigkill_of_up_loses_nothing_and_repeats_only_what_was_in_flight() {
    rounds(|round| {
        let field = ours("work");
        field.load(&["a", "b"], MESSAGES);
        let mut up = field.up();
        for kill in 0..2 {
            load_is_under_way(&field, round, kill);
            up.kill();
            up = field.up();
        }
        let repeated = out_exactly_once(&field, MESSAGES);
        no_more_than(repeated, 2 * IN_FLIGHT, "two kills");
        assert!(up.stop().success());
    });
}

/// Killed: `run`, twice; its foreign handlers, one on our runtime and one plain, live on.
/// Holds: as above.
#[test]
fn sigkill_of_run_beside_foreign_handlers_loses_nothing_and_repeats_only_what_was_in_flight() {
    rounds(|round| {
        let field = foreign();
        let _handlers = [
            Foreign::runtime(&field, "a.sock", "a", "work", CONCURRENCY),
            Foreign::plain(&field, "b.sock", "b"),
        ];
        field.load(&["a", "b"], MESSAGES);
        let mut run = field.run();
        for kill in 0..2 {
            load_is_under_way(&field, round, kill);
            run.kill();
            run = field.run();
        }
        let repeated = out_exactly_once(&field, MESSAGES);
        no_more_than(repeated, 2 * IN_FLIGHT, "two kills");
        assert!(run.stop().success());
    });
}

/// Killed: a handler process of `up`, twice, whichever is alive.
/// Holds: each message comes out once; only calls of the killed processes are repeated.
#[test]
fn sigkill_of_a_handler_process_loses_nothing_and_repeats_only_its_own_calls() {
    rounds(|round| {
        let field = ours("work");
        field.load(&["a", "b"], MESSAGES);
        let up = field.up();
        for kill in 0..2 {
            load_is_under_way(&field, round, kill);
            kill_a_handler(&field, round);
        }
        let repeated = out_exactly_once(&field, MESSAGES);
        no_more_than(repeated, 2 * CONCURRENCY, "two handlers were killed");
        assert!(up.stop().success());
    });
}

/// Killed: a foreign handler of `run`, then started again by its owner.
/// Holds: each message comes out once; only its own calls are repeated; `run` never ends.
#[test]
fn sigkill_of_a_foreign_handler_loses_nothing_and_its_station_waits_for_it() {
    rounds(|round| {
        let field = foreign();
        let mut first = Foreign::runtime(&field, "a.sock", "a", "work", CONCURRENCY);
        let _second = Foreign::plain(&field, "b.sock", "b");
        field.load(&["a", "b"], MESSAGES);
        let run = field.run();
        load_is_under_way(&field, round, 0);
        first.signal(Signal::SIGKILL);
        drop(std::mem::replace(
            &mut first,
            Foreign::runtime(&field, "a.sock", "a", "work", CONCURRENCY),
        ));
        let repeated = out_exactly_once(&field, MESSAGES);
        no_more_than(repeated, CONCURRENCY, "one handler was killed");
        assert!(run.stop().success());
    });
}

/// Killed: `up` and one of its handlers, in either order, within a few milliseconds.
/// Holds: each message comes out once; no more calls are repeated than were under way.
#[test]
fn sigkill_of_up_and_a_handler_together_loses_nothing() {
    rounds(|round| {
        let field = ours("work");
        field.load(&["a", "b"], MESSAGES);
        let mut up = field.up();
        for kill in 0..2 {
            load_is_under_way(&field, round, kill);
            if round.number_in(0..=1) == 0 {
                kill_a_handler(&field, round);
                round.moment();
                up.kill();
            } else {
                let killed = up.pid();
                up.signal(Signal::SIGKILL);
                kill_a_handler(&field, round);
                up.kill();
                assert!(!is_alive(killed));
            }
            up = field.up();
        }
        let repeated = out_exactly_once(&field, MESSAGES);
        no_more_than(repeated, 2 * IN_FLIGHT, "two kills of both");
        assert!(up.stop().success());
    });
}

/// Killed: `up`, before, while and after it becomes ready, three times in a row with no work done between.
/// Holds: it starts again as if nothing had been, and each message comes out once.
#[test]
fn sigkill_of_up_while_it_starts_loses_nothing() {
    rounds(|round| {
        let field = ours("work");
        field.load(&["a", "b"], MESSAGES);
        for _ in 0..3 {
            let up: Sidecar = field.start(&["up"], &[]);
            let pause = Duration::from_millis(round.number_in(0..=400) as u64);
            let began = Instant::now();
            wait_until("a moment of the start", || (began.elapsed() >= pause).then_some(()));
            up.kill();
        }
        let up = field.up();
        let repeated = out_exactly_once(&field, MESSAGES);
        no_more_than(repeated, 3 * IN_FLIGHT, "three kills");
        assert!(up.stop().success());
    });
}

/// Says how many calls were repeated, and fails where it is more than can be.
#[track_caller]
fn no_more_than(repeated: usize, most: usize, after: &str) {
    eprintln!("{repeated} calls were repeated after {after}, at most {most} can be");
    assert!(
        repeated <= most,
        "{repeated} calls were repeated after {after}, at most {most} can be"
    );
}

/// Waits for a random part of the load: the first kill comes in its first half, the second in its second.
#[track_caller]
fn load_is_under_way(field: &Field, round: &mut Round, kill: usize) {
    let half = CALLS / 2;
    let times = kill * half + round.number_in(1..=half - IN_FLIGHT);
    called(field, times);
    round.moment();
}

/// Kills one handler process; where `up` was killed just before, there may be none left.
fn kill_a_handler(field: &Field, round: &mut Round) {
    let alive: Vec<u32> = field.notes().starts.into_iter().filter(|pid| is_alive(*pid)).collect();
    if let Some(last) = alive.len().checked_sub(1) {
        // Between the look and the signal it may have gone with its `up`; its id is not used again so soon.
        signal_if_there(alive[round.number_in(0..=last)], Signal::SIGKILL);
    }
}
