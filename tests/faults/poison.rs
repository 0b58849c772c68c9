//! Messages whose deliveries begin and never finish.

use crate::{
    harness::{Field, HANDLERS, interpreter, rounds},
    line::called,
};

/// Killed: the handler, by one message of twenty, each time it is called for it.
/// Holds: that message is at error-end with `attempts_exhausted` after `max_deliveries` calls; the others come through,
/// called once each.
#[test]
fn a_message_that_kills_its_handler_ends_with_attempts_exhausted_and_harms_no_other() {
    rounds(|round| {
        let field = Field::new(&format!(
            "actors: {{ a: {{ handler: {{ run: \"{} -m outrigger handlers.py:poison\" }}, max_deliveries: 2 }} }}",
            interpreter()
        ));
        field.write("handlers.py", HANDLERS);
        let poisoned = round.number_in(1..=20);
        let envelopes: Vec<String> = (1..=20)
            .map(|n| {
                let poison = n == poisoned;
                format!(
                    r#"{{"id":"m{n}","route":{{"actors":["a"],"current":0}},"payload":{{"n":{n},"poison":{poison}}}}}"#
                )
            })
            .collect();
        field.put("a", &envelopes);
        let up = field.up();
        let error = field.wait_for_error();
        assert_eq!(error["code"], "attempts_exhausted", "{error}");
        assert_eq!(field.messages("error-end")[0]["id"], format!("m{poisoned}"));
        field.wait_for("happy-end", 19);
        let notes = field.notes();
        assert_eq!(
            notes.calls_for(&format!("m{poisoned}")),
            2,
            "called as often as `max_deliveries` says"
        );
        assert_eq!(notes.calls.len(), 19 + 2, "the others were called once each");
        assert!(up.stop().success());
    });
}

/// Killed: `up`, twice while it works on the same message, with `max_deliveries: 2`.
/// Holds: the message is at error-end with `attempts_exhausted`, without a third call; after a redrive its counter is
/// fresh and it comes through.
#[test]
fn a_message_that_is_in_flight_at_every_kill_of_up_is_called_as_often_as_allowed() {
    let field = Field::new(&format!(
        "actors: {{ a: {{ handler: {{ run: \"{} -m outrigger handlers.py:gated\" }}, max_deliveries: 2 }} }}",
        interpreter()
    ));
    field.write("handlers.py", HANDLERS);
    field.load(&["a"], 1);
    for calls in 1..=2 {
        let up = field.start(&["up"], &[]);
        called(&field, calls);
        up.kill();
    }
    let up = field.up();
    assert_eq!(field.wait_for_error()["code"], "attempts_exhausted");
    assert_eq!(field.notes().calls.len(), 2);
    field.ok(&["dead", "redrive", "m1"]);
    called(&field, 3);
    up.kill();
    field.write("gate", "");
    let up = field.up();
    field.wait_for("happy-end", 1);
    assert_eq!(
        field.notes().calls.len(),
        4,
        "the third delivery did not finish, the fourth did"
    );
    assert!(up.stop().success());
}
