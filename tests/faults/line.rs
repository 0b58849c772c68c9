//! The load of the fault tests: two actors in a row, and what must hold when all has gone through.

use std::path::Path;

use crate::harness::{Field, HANDLERS, interpreter, wait_until};

/// Exchanges at once at each of the two actors.
pub(crate) const CONCURRENCY: usize = 4;

/// Actors `a` and `b`, handlers that `up` starts.
pub(crate) fn ours(function: &str) -> Field {
    let python = interpreter();
    let actor = |name: &str| {
        format!(
            "  {name}: {{ handler: {{ run: \"{python} -m outrigger handlers.py:{function}\" }}, \
             concurrency: {CONCURRENCY}, max_deliveries: 0 }}\n"
        )
    };
    let field = Field::new(&format!("actors:\n{}{}", actor("a"), actor("b")));
    field.write("handlers.py", HANDLERS);
    field
}

/// Actors `a` and `b`, handlers of somebody else's at `a.sock` and `b.sock`.
pub(crate) fn foreign() -> Field {
    Field::new(&format!("actors:\n{}{}", socket_actor("a"), socket_actor("b")))
}

/// One actor of a foreign handler, on the queue file of another folder.
pub(crate) fn foreign_on(queue: &Path, name: &str) -> Field {
    Field::new(&format!(
        "queue: \"sqlite:{}\"\nactors:\n{}",
        queue.display(),
        socket_actor(name)
    ))
}

fn socket_actor(name: &str) -> String {
    format!("  {name}: {{ handler: {{ socket: {name}.sock }}, concurrency: {CONCURRENCY}, max_deliveries: 0 }}\n")
}

/// Waits until handlers were called this often.
#[track_caller]
pub(crate) fn called(field: &Field, times: usize) {
    wait_until(&format!("{times} calls"), || {
        (field.notes().calls.len() >= times).then_some(())
    });
}

/// Waits until all messages are out, and says how often handlers were called more than once for one.
///
/// Each message has to be at happy-end exactly once, and nowhere else.
#[track_caller]
pub(crate) fn out_exactly_once(field: &Field, count: usize) -> usize {
    wait_until("all messages are at happy-end", || {
        (field.depth("happy-end") >= count).then_some(())
    });
    let ids = field.ids("happy-end");
    let twice: Vec<_> = ids.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "not once at happy-end: {twice:?}");
    let lost: Vec<_> = (1..=count)
        .map(|n| format!("m{n}"))
        .filter(|id| !ids.contains_key(id))
        .collect();
    assert!(lost.is_empty(), "not at happy-end: {lost:?}");
    assert_eq!(ids.len(), count, "messages that nobody sent");
    assert_eq!(field.messages("error-end"), Vec::<serde_json::Value>::new());
    for actor in ["a", "b"] {
        assert_eq!((field.depth(actor), field.in_flight(actor)), (0, 0), "left at {actor}");
    }
    field.notes().repeated()
}
