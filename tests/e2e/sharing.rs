//! Several processes on one queue file.

use std::time::{Duration, Instant};

use crate::harness::{Answer, Field, Plain, wait_until};

#[test]
fn two_processes_on_one_file_are_served_at_once() {
    let shared = Field::new("");
    let queue = shared.path("q.db");
    let side = |name: &str| {
        Field::new(&format!(
            "queue: \"sqlite:{}\"\nactors: {{ {name}: {{ handler: {{ socket: {name}.sock }} }} }}",
            queue.display()
        ))
    };
    let (first, second) = (side("a"), side("b"));
    let handlers = [Plain::echo(&first.path("a.sock")), Plain::echo(&second.path("b.sock"))];
    let runs = [first.run(), second.run()];
    first.load(&["a", "b"], 50);
    second.wait_for("happy-end", 50);
    assert_eq!(handlers.each_ref().map(|handler| handler.requests().len()), [50, 50]);
    for run in runs {
        assert!(run.stop().success());
    }
}

#[test]
fn what_is_sent_is_worked_on_without_polling() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    let handler = Plain::echo(&field.path("a.sock"));
    let run = field.run();
    field.send("a", "warm", "0");
    handler.wait_for(1);
    let mut best = Duration::MAX;
    for n in 2..=6 {
        field.send("a", &format!("m{n}"), "0");
        let sent = Instant::now();
        handler.wait_for(n);
        best = best.min(sent.elapsed());
    }
    assert!(
        best < Duration::from_millis(100),
        "the quickest of five took {best:?} after `send` had ended"
    );
    assert!(run.stop().success());
}

#[test]
fn a_message_sent_before_anything_runs_waits_in_the_file() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    field.send("a", "early", r#"{"kept": 1.0}"#);
    let handler = Plain::echo(&field.path("a.sock"));
    let run = field.run();
    field.wait_for("happy-end", 1);
    assert_eq!(handler.requests(), [r#"{"kept": 1.0}"#]);
    assert!(run.stop().success());
}

#[test]
fn redrive_sends_a_failed_message_through_its_actor_again_with_fresh_counters() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, retry: { attempts: 2, backoff: 1ms } } }");
    let handler = Plain::at(&field.path("a.sock"), |request| match request.number {
        1..=2 => Answer::text(r#"{"status":"error","error":"down","message":"no database"}"#),
        _ => Answer::text("\"works\""),
    });
    let envelope = r#"{"id":"m1","zz": 1.0,"route":{"actors":["a"],"current":0},"payload":{"n": 1.0}}"#;
    field.put("a", &[envelope.to_owned()]);
    let run = field.run();
    assert_eq!(field.wait_for_error()["attempt"], 2);
    let listed = field.ok(&["dead", "ls", "--output", "json"]);
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).expect("an array");
    assert_eq!(
        (&listed[0]["id"], &listed[0]["code"], &listed[0]["attempt"]),
        (&"m1".into(), &"down".into(), &2.into())
    );
    assert!(field.ok(&["dead", "show", "m1"]).contains("no database"));
    field.ok(&["dead", "redrive", "m1"]);
    assert_eq!(
        field.wait_for_text("happy-end"),
        r#"{"id":"m1","zz": 1.0,"route":{"actors":["a"],"current":1},"payload":"works"}"#
    );
    assert_eq!(handler.requests(), [r#"{"n": 1.0}"#; 3]);
    assert_eq!(field.depth("error-end"), 0);
    assert!(run.stop().success());
}

#[test]
fn a_call_that_outlasts_the_lease_is_not_given_to_another_process() {
    let shared = Field::new("");
    let queue = shared.path("q.db");
    let config = format!(
        "queue: \"sqlite:{}\"\nactors: {{ a: {{ handler: {{ socket: a.sock }} }} }}",
        queue.display()
    );
    let sides = [Field::new(&config), Field::new(&config), Field::new(&config)];
    // Longer than the lease of ten seconds.
    let handlers = sides.each_ref().map(|side| {
        Plain::at(&side.path("a.sock"), |_| {
            Answer::Slowly(vec![vec![0, 0, 0, 1, b'7']], Duration::from_secs(12))
        })
    });
    // One of the three owns the file: the other two hold their messages through it.
    let runs = sides.each_ref().map(Field::run);
    sides[0].load(&["a"], 3);
    sides[0].wait_for("happy-end", 3);
    let calls: usize = handlers.iter().map(|handler| handler.requests().len()).sum();
    assert_eq!(calls, 3, "each message is called once");
    for run in runs {
        assert!(run.stop().success());
    }
}

#[test]
fn outputs_that_find_no_room_are_kept_until_there_is_some_and_the_handler_is_not_called_again() {
    let field = Field::new(
        "queue: \"sqlite:q.db?max_bytes=4194304\"\nactors: { a: { handler: { socket: a.sock } }, parking: { handler: { socket: b.sock } } }",
    );
    let handler = Plain::at(&field.path("a.sock"), |_| {
        Answer::text(format!("\"{}\"", "x".repeat(2_000_000)))
    });
    field.send("a", "m", "1");
    field.write("parked.jsonl", format!("\"{}\"", "y".repeat(2_500_000)));
    field.ok(&["send", "parking", "--file", "parked.jsonl"]);
    let run = field.start(&["run"], &[]);
    handler.wait_for(1);
    wait_until("the file is said to be full", || {
        run.lines()
            .iter()
            .any(|line| line["level"] == "WARN" || line["level"] == "ERROR")
            .then_some(())
    });
    assert_eq!((field.depth("happy-end"), field.depth("error-end")), (0, 0));
    field.ok(&["take", "parking"]);
    let out = field.wait_for("happy-end", 1);
    assert_eq!(out[0]["payload"].as_str().map(str::len), Some(2_000_000));
    assert_eq!(handler.requests().len(), 1, "the handler is not called again");
    assert!(run.stop().success());
}
