//! A message that kills its handler each time.

use crate::harness::{Field, HANDLERS, interpreter, rounds};

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
