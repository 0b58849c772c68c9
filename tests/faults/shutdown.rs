//! SIGTERM under load: leaving in order.

use std::time::{Duration, Instant};

use crate::{
    harness::{Field, Foreign, HANDLERS, Signal, interpreter, is_alive, rounds, signal, within},
    line::{CONCURRENCY, called, foreign, ours, out_exactly_once},
};

const MESSAGES: usize = 120;

/// Asked to leave: `up`, three times at random moments.
/// Holds: exit 0 each time; nothing is lost and no handler is called twice.
#[test]
fn sigterm_of_up_under_load_loses_nothing_and_repeats_nothing() {
    rounds(|round| {
        let field = ours("work");
        field.load(&["a", "b"], MESSAGES);
        for part in 0..3 {
            let up = field.up();
            called(&field, part * 70 + round.number_in(1..=60));
            round.moment();
            let handlers = field.notes().starts;
            let status = up.stop();
            assert!(status.success(), "it ended with {status}");
            assert!(handlers.iter().all(|pid| !is_alive(*pid)), "it left handlers behind");
            assert_eq!(field.in_flight("a") + field.in_flight("b"), 0, "it left claims behind");
        }
        let up = field.up();
        let repeated = out_exactly_once(&field, MESSAGES);
        assert_eq!(repeated, 0, "handlers were called twice");
        assert!(up.stop().success());
    });
}

/// Asked to leave: `run`, with SIGINT and SIGTERM in turn.
/// Holds: as above.
#[test]
fn sigterm_of_run_under_load_loses_nothing_and_repeats_nothing() {
    rounds(|round| {
        let field = foreign();
        let _handlers = [
            Foreign::runtime(&field, "a.sock", "a", "work", CONCURRENCY),
            Foreign::plain(&field, "b.sock", "b"),
        ];
        field.load(&["a", "b"], MESSAGES);
        for (part, signal) in [Signal::SIGTERM, Signal::SIGINT].into_iter().enumerate() {
            let run = field.run();
            called(&field, part * 100 + round.number_in(1..=90));
            round.moment();
            run.signal(signal);
            let status = run.ended(Duration::from_secs(30));
            assert!(status.success(), "it ended with {status}");
        }
        let run = field.run();
        let repeated = out_exactly_once(&field, MESSAGES);
        assert_eq!(repeated, 0, "handlers were called twice");
        assert!(run.stop().success());
    });
}

fn gated(rest: &str) -> Field {
    let field = Field::new(&format!(
        "actors: {{ a: {{ handler: {{ run: \"{} -m outrigger handlers.py:gated\" }}{rest} }} }}",
        interpreter()
    ));
    field.write("handlers.py", HANDLERS);
    field
}

/// Asked to leave: `up`, while a call goes on that ends when the test lets it.
/// Holds: it waits for the call, takes nothing new, and exits 0 when the call is settled.
#[test]
fn up_waits_for_the_work_in_flight_and_takes_nothing_new() {
    let field = gated("");
    let up = field.up();
    field.load(&["a"], 3);
    called(&field, 1);
    up.signal(Signal::SIGTERM);
    within(Duration::from_secs(5), "/readyz is red", || {
        (!up.is_ready()).then_some(())
    });
    assert!(is_alive(field.notes().starts[0]), "the handler works on");
    field.write("gate", "");
    assert!(up.ended(Duration::from_secs(10)).success());
    assert_eq!(field.ids("happy-end").into_keys().collect::<Vec<_>>(), ["m1"]);
    assert_eq!(field.depth("a"), 2, "what waits stays");
    assert_eq!(field.notes().calls.len(), 1);
}

/// Asked to leave twice: `up`, while a call goes on that never ends.
/// Holds: after 10 s the call is cut off, said by its id, and its message is back, uncounted.
#[test]
fn a_second_signal_means_ten_seconds() {
    let field = gated(", max_deliveries: 1");
    let up = field.up();
    field.load(&["a"], 1);
    called(&field, 1);
    up.signal(Signal::SIGTERM);
    within(Duration::from_secs(5), "/readyz is red", || {
        (!up.is_ready()).then_some(())
    });
    let handler = field.notes().starts[0];
    up.signal(Signal::SIGTERM);
    let asked = Instant::now();
    let log = field.path("log.0");
    let status = up.ended(Duration::from_secs(20));
    let took = asked.elapsed();
    assert!(
        (Duration::from_secs(9)..Duration::from_secs(16)).contains(&took),
        "it took {took:?}"
    );
    assert!(!status.success(), "not all that was in flight was settled");
    assert!(!is_alive(handler), "it left its handler behind");
    let said = std::fs::read_to_string(log).expect("its log");
    assert!(
        said.lines()
            .any(|line| line.contains("cut off") && line.contains("\"m1\"")),
        "{said}"
    );
    put_back_uncounted(&field);
}

/// Asked to leave: `up --grace 300ms`, while a call goes on that never ends.
/// Holds: the message is back and was not counted as a delivery: with `max_deliveries: 1` it is called again.
#[test]
fn what_the_grace_cuts_off_is_put_back_uncounted() {
    let field = gated(", max_deliveries: 1");
    let up = field.start(&["up", "--grace", "300ms"], &[]);
    up.ready();
    field.load(&["a"], 1);
    called(&field, 1);
    up.signal(Signal::SIGTERM);
    let status = up.ended(Duration::from_secs(9));
    assert!(!status.success(), "not all that was in flight was settled");
    put_back_uncounted(&field);
}

#[track_caller]
fn put_back_uncounted(field: &Field) {
    assert_eq!(
        (field.depth("a"), field.in_flight("a"), field.depth("error-end")),
        (1, 0, 0)
    );
    field.write("gate", "");
    let up = field.up();
    field.wait_for("happy-end", 1);
    assert_eq!(field.notes().calls.len(), 2);
    assert!(up.stop().success());
}

/// Killed: a handler, while `up` waits for the work in flight to leave.
/// Holds: `up` exits 0; the message is not lost, and the next `up` finishes it.
#[test]
fn a_handler_that_dies_while_up_leaves_costs_nothing() {
    let field = gated("");
    let up = field.up();
    field.load(&["a"], 2);
    called(&field, 1);
    up.signal(Signal::SIGTERM);
    within(Duration::from_secs(5), "/readyz is red", || {
        (!up.is_ready()).then_some(())
    });
    signal(field.notes().starts[0], Signal::SIGKILL);
    assert!(up.ended(Duration::from_secs(10)).success());
    field.write("gate", "");
    let up = field.up();
    field.wait_for("happy-end", 2);
    assert_eq!(field.notes().repeated(), 1);
    assert!(up.stop().success());
}

/// Asked to leave: `up`, whose handler has not bound its socket and never will.
/// Holds: it exits 0 at once, and takes the handler along.
#[test]
fn up_leaves_at_once_while_its_handler_is_still_starting() {
    let field = Field::new("actors: { a: { handler: { run: \"sh slow.sh\" } } }");
    field.write("slow.sh", "echo start $$ >> notes\nexec sleep 1000\n");
    field.load(&["a"], 1);
    let up = field.start(&["up"], &[]);
    within(Duration::from_secs(20), "the handler is started", || {
        (field.notes().starts.len() == 1).then_some(())
    });
    let asked = Instant::now();
    assert!(up.stop().success());
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "it took {:?}",
        asked.elapsed()
    );
    assert!(!is_alive(field.notes().starts[0]), "it left its handler behind");
    assert_eq!(field.depth("a"), 1);
}

/// Asked to leave: `up`, whose handler catches SIGTERM and goes on.
/// Holds: the handler is ended after its own grace; `up` exits 0.
#[test]
fn a_handler_that_ignores_sigterm_is_ended_after_its_grace() {
    let field = Field::new("actors: { a: { handler: { run: \"sh deaf.sh\" } } }");
    field.write(
        "deaf.sh",
        "trap '' TERM\necho start $$ >> notes\nwhile :; do sleep 1; done\n",
    );
    field.load(&["a"], 1);
    let up = field.start(&["up"], &[]);
    within(Duration::from_secs(20), "the handler is started", || {
        (field.notes().starts.len() == 1).then_some(())
    });
    let handler = field.notes().starts[0];
    assert!(up.stop().success());
    assert!(!is_alive(handler), "it left its handler behind");
}
