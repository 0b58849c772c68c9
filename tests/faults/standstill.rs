//! SIGSTOP: handlers that hang.

use std::time::Duration;

use crate::{
    harness::{Field, Foreign, HANDLERS, Sidecar, Signal, interpreter, is_alive, json, rounds, stop, within},
    line::called,
};

/// Stopped: the handler process of `up`, while it works on a message.
/// Holds: that message is at error-end with `timeout`; a fresh process takes the others; the stopped one is ended.
#[test]
fn a_stopped_handler_of_ours_costs_its_message_and_a_fresh_one_takes_the_next() {
    rounds(|round| {
        let field = Field::new(&format!(
            "actors: {{ a: {{ handler: {{ run: \"{} -m outrigger handlers.py:gated\" }}, timeout: 500ms }} }}",
            interpreter()
        ));
        field.write("handlers.py", HANDLERS);
        let up = field.up();
        field.load(&["a"], 5);
        called(&field, 1);
        round.moment();
        let hung = field.notes().calls[0].pid;
        stop(hung);
        field.write("gate", "");
        let error = field.wait_for_error();
        assert_eq!(
            (&error["code"], &error["actor"], &error["attempt"]),
            (&json!("timeout"), &json!("a"), &json!(1))
        );
        assert_eq!(field.messages("error-end")[0]["id"], "m1");
        field.wait_for("happy-end", 4);
        let notes = field.notes();
        assert!(
            notes.calls[1..].iter().all(|call| call.pid != hung),
            "called in the process that hung"
        );
        assert_eq!(notes.calls.len(), 5, "each message is called once");
        within(Duration::from_secs(10), "the stopped process is ended", || {
            (!is_alive(hung)).then_some(())
        });
        assert!(up.stop().success());
    });
}

/// Stopped: one of two handler processes.
/// Holds: its neighbour's call goes on unharmed.
#[test]
fn a_stopped_handler_does_not_hurt_its_neighbour() {
    let field = Field::new(&format!(
        "actors: {{ a: {{ handler: {{ run: \"{} -m outrigger handlers.py:gated\" }}, replicas: 2, concurrency: 2, \
         timeout: 2s }} }}",
        interpreter()
    ));
    field.write("handlers.py", HANDLERS);
    let up = field.up();
    field.load(&["a"], 2);
    called(&field, 2);
    let calls = field.notes().calls;
    assert_ne!(calls[0].pid, calls[1].pid, "two processes, one call each");
    stop(calls[0].pid);
    field.write("gate", "");
    field.wait_for_error();
    assert_eq!(field.messages("error-end")[0]["id"], calls[0].id);
    assert_eq!(field.wait_for("happy-end", 1)[0]["id"], calls[1].id);
    assert!(is_alive(calls[1].pid), "the neighbour was ended");
    assert!(up.stop().success());
}

/// Stopped: a foreign handler on our runtime, while it works; continued when its message has timed out.
/// Holds: error-end has that one message and no other, the queue waits, and goes on by itself.
#[test]
fn a_foreign_handler_that_hangs_keeps_the_queue_waiting_until_it_goes_on() {
    rounds(|_| {
        hangs_and_goes_on(
            |field| Foreign::runtime(field, "a.sock", "a", "work", 1),
            |run| {
                within(Duration::from_secs(5), "/readyz is red", || {
                    (!run.is_ready()).then_some(())
                });
            },
        );
    });
}

/// Stopped: a plain foreign handler. It answers no ping, so one message after the other is tried on it.
/// Holds: as above, and what was tried on it in vain is put back.
#[test]
fn a_plain_foreign_handler_that_hangs_keeps_the_queue_waiting_until_it_goes_on() {
    rounds(|_| {
        hangs_and_goes_on(
            |field| Foreign::plain(field, "a.sock", "a"),
            |run| {
                within(Duration::from_secs(20), "a message was tried in vain", || {
                    put_back(run).then_some(())
                });
            },
        );
    });
}

fn hangs_and_goes_on(start: impl Fn(&Field) -> Foreign, hung: impl Fn(&Sidecar)) {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, timeout: 300ms, max_deliveries: 0 } }");
    let handler = start(&field);
    let run = field.run();
    stop(handler.pid());
    field.load(&["a"], 20);
    assert_eq!(field.wait_for_error()["code"], "timeout");
    hung(&run);
    assert_eq!(
        field.depth("error-end"),
        1,
        "a message was lost to a handler that hangs"
    );
    assert_eq!(field.depth("happy-end"), 0);
    assert!(!run.is_ready(), "it says that it is ready");
    handler.signal(Signal::SIGCONT);
    run.ready();
    field.wait_for("happy-end", 19);
    assert_eq!(field.depth("error-end"), 1, "error-end has the one message that hung");
    assert!(run.stop().success());
}

/// Whether any delivery was put back.
fn put_back(run: &Sidecar) -> bool {
    let (_, metrics) = run.get("/metrics");
    let put_back = metrics
        .lines()
        .find(|line| line.contains("settled") && line.contains("\"put_back\""));
    put_back.is_some_and(|line| !line.ends_with(" 0"))
}

/// Stopped: a sidecar that holds a message, for longer than its lease; continued when another one has it.
/// Holds: the other one works on the message; what the first one still says of it is not written.
#[test]
fn a_sidecar_that_stands_still_for_longer_than_its_lease_loses_its_message_to_another() {
    let owner = Field::new("queue: \"sqlite:shared.db\"\nactors: { idle: { handler: { socket: nobody.sock } } }");
    let owning = owner.start(&["run"], &[]);
    owning.admin();
    let queue = owner.path("shared.db");
    let [first, second] = ["first", "second"].map(|_| {
        Field::new(&format!(
            "queue: \"sqlite:{}\"\nactors: {{ a: {{ handler: {{ socket: a.sock }} }} }}",
            queue.display()
        ))
    });
    let _handlers = [&first, &second].map(|field| Foreign::runtime(field, "a.sock", "a", "gated", 1));
    let slow = first.run();
    first.load(&["a"], 1);
    called(&first, 1);
    stop(slow.pid());
    let quick = second.run();
    within(Duration::from_secs(40), "the lease runs out", || {
        (!second.notes().calls.is_empty()).then_some(())
    });
    first.write("gate", "");
    slow.signal(Signal::SIGCONT);
    within(Duration::from_secs(20), "the first one sees that it was late", || {
        slow.said().contains("ran out of its lease").then_some(())
    });
    assert_eq!(second.depth("happy-end"), 0, "what came too late was written");
    second.write("gate", "");
    second.wait_for("happy-end", 1);
    first.load(&["a"], 4);
    second.wait_for("happy-end", 5);
    assert_eq!(second.depth("error-end"), 0);
    for sidecar in [slow, quick, owning] {
        assert!(sidecar.stop().success());
    }
}
