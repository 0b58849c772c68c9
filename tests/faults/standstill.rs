//! SIGSTOP: handlers that hang.

use std::time::Duration;

use crate::{
    harness::{Field, Foreign, HANDLERS, Signal, interpreter, is_alive, json, rounds, signal, within},
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
        signal(hung, Signal::SIGSTOP);
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
    signal(calls[0].pid, Signal::SIGSTOP);
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
    rounds(|_| hangs_and_goes_on(|field| Foreign::runtime(field, "a.sock", "a", "work", 1)));
}

/// Stopped: a plain foreign handler; it answers no ping, so one message after the other is tried on it.
/// Holds: as above.
#[test]
fn a_plain_foreign_handler_that_hangs_keeps_the_queue_waiting_until_it_goes_on() {
    rounds(|_| hangs_and_goes_on(|field| Foreign::plain(field, "a.sock", "a")));
}

fn hangs_and_goes_on(start: impl Fn(&Field) -> Foreign) {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, timeout: 300ms, max_deliveries: 0 } }");
    let handler = start(&field);
    let run = field.run();
    handler.signal(Signal::SIGSTOP);
    field.load(&["a"], 20);
    let error = field.wait_for_error();
    assert_eq!(error["code"], "timeout");
    within(Duration::from_secs(5), "/readyz is red", || {
        (!run.is_ready()).then_some(())
    });
    // Long enough for a first probe to time out, where there are probes: those go back.
    within(Duration::from_secs(5), "the queue waits", || {
        (run.said().matches("\"ready\"").count() > 0 && field.depth("a") == 19).then_some(())
    });
    assert_eq!(field.depth("error-end"), 1);
    assert_eq!(field.depth("happy-end"), 0);
    handler.signal(Signal::SIGCONT);
    run.ready();
    field.wait_for("happy-end", 19);
    assert_eq!(field.depth("error-end"), 1, "error-end has the one message that hung");
    assert!(run.stop().success());
}
