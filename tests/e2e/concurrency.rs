//! As many at once as the configuration says, over as many processes as it says.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::harness::{Answer, Field, HANDLERS, Plain, interpreter, wait_until};

fn python(function: &str, rest: &str) -> Field {
    let field = Field::new(&format!(
        "actors: {{ a: {{ handler: {{ run: \"{} -m outrigger handlers.py:{function}\" }}{rest} }} }}",
        interpreter()
    ));
    field.write("handlers.py", HANDLERS);
    field
}

#[test]
fn a_plain_handler_is_called_as_often_at_once_as_its_concurrency_says_and_no_oftener() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, concurrency: 5 } }");
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (entered, highest) = (Arc::clone(&inside), Arc::clone(&most));
    let _handler = Plain::at(&field.path("a.sock"), move |request| {
        let now = entered.fetch_add(1, Ordering::SeqCst) + 1;
        highest.fetch_max(now, Ordering::SeqCst);
        // The first ones wait for each other; later ones look whether a sixth comes.
        if request.number <= 5 {
            wait_until("five are here at once", || {
                (highest.load(Ordering::SeqCst) >= 5).then_some(())
            });
        }
        entered.fetch_sub(1, Ordering::SeqCst);
        Answer::Frame(request.body.clone())
    });
    field.load(&["a"], 40);
    let run = field.run();
    field.wait_for("happy-end", 40);
    assert_eq!(most.load(Ordering::SeqCst), 5);
    assert!(run.stop().success());
}

#[test]
fn one_process_runs_its_whole_concurrency_at_once() {
    let field = python("meet", ", concurrency: 4");
    field.load(&["a"], 8);
    let up = field.up();
    field.wait_for("happy-end", 8);
    assert_eq!(field.notes().starts.len(), 1);
    assert!(up.stop().success());
}

#[test]
fn replicas_are_processes_that_work_at_the_same_time() {
    let field = python("gather", ", replicas: 3, concurrency: 3");
    let envelopes: Vec<String> = (1..=3)
        .map(|n| format!(r#"{{"id":"m{n}","route":{{"actors":["a"],"current":0}},"payload":{{"processes":3}}}}"#))
        .collect();
    field.put("a", &envelopes);
    let up = field.up();
    field.wait_for("happy-end", 3);
    assert_eq!(field.notes().starts.len(), 3);
    assert!(up.stop().success());
}

#[test]
fn a_concurrency_below_the_replicas_is_raised_to_them_with_a_warning() {
    let field = python("gather", ", replicas: 2, concurrency: 1");
    let envelopes: Vec<String> = (1..=2)
        .map(|n| format!(r#"{{"id":"m{n}","route":{{"actors":["a"],"current":0}},"payload":{{"processes":2}}}}"#))
        .collect();
    field.put("a", &envelopes);
    let up = field.up();
    field.wait_for("happy-end", 2);
    assert!(up.said().contains("concurrency"), "{}", up.said());
    assert!(up.stop().success());
}
