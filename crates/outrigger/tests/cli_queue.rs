//! `send`, `queues` and `take`, through the binary, on a queue in a file.

mod desk;

use std::{
    io::{Write, pipe},
    process::Stdio,
};

use desk::{Desk, ONE_ACTOR, Ran, until};
use insta::assert_snapshot;
use serde_json::json;

#[test]
fn a_payload_goes_in_and_comes_out_byte_for_byte() {
    let desk = Desk::with_config(ONE_ACTOR);
    let payload = r#"{ "b":1.50, "a" : [1e3,"\u00e4"] }"#;
    let sent = desk.run(&["send", "a", "--payload", payload, "--id", "m-1"]).done();
    assert_eq!((sent.out.as_str(), sent.err.as_str()), ("m-1\n", ""));
    let envelope = format!(r#"{{"id":"m-1","route":{{"actors":["a"],"current":0}},"payload":{payload}}}"#);
    assert_eq!(desk.run(&["take", "a"]).done().out, format!("{envelope}\n"));
    assert_eq!(desk.run(&["take", "a"]).done().out, "");
    assert_eq!(desk.depth("a"), 0);
}

#[test]
fn an_id_is_made_where_none_is_given_and_printed_for_scripts() {
    let desk = Desk::with_config(ONE_ACTOR);
    let printed = desk
        .run(&["send", "a", "--payload", "-1", "--output", "json"])
        .done()
        .json();
    let taken = desk.run(&["take", "a", "--output", "json"]).done().json();
    assert_eq!(taken[0]["payload"], -1);
    assert_eq!(json!([taken[0]["id"]]), printed);
    assert_eq!(printed[0].as_str().unwrap().as_bytes()[14], b'7');
}

#[test]
fn headers_and_a_deadline_go_with_the_message() {
    let desk = Desk::with_config(ONE_ACTOR);
    let args = [
        "send",
        "a,a",
        "--payload",
        "1",
        "--header",
        "k=v=w",
        "--header",
        "job=7",
        "--deadline",
    ];
    desk.run(&[&args[..], &["2031-02-03T04:05:06Z"]].concat()).done();
    desk.run(&[&args[..], &["1h"]].concat()).done();
    let taken = desk.run(&["take", "a", "-n", "5", "--output", "json"]).done().json();
    assert_eq!(taken[0]["deadline"], "2031-02-03T04:05:06Z");
    assert_eq!(taken[0]["headers"], json!({ "k": "v=w", "job": "7" }));
    assert_eq!(taken[0]["route"], json!({ "actors": ["a", "a"], "current": 0 }));
    assert!(taken[1]["deadline"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_file_is_a_payload_a_line_in_order() {
    let desk = Desk::with_config(ONE_ACTOR);
    let lines: Vec<String> = (0..600).map(|number| format!("{{\"n\": {number}}}\r\n\n")).collect();
    desk.write("work.jsonl", lines.concat());
    let sent = desk.run(&["send", "a", "--file", "work.jsonl"]).done();
    assert_eq!((sent.out.as_str(), sent.err.as_str()), ("", "sent 600 messages to a\n"));
    let taken = desk.run(&["take", "a", "-n", "1000", "--output", "json"]).done().json();
    let numbers: Vec<u64> = taken
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["payload"]["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..600).collect::<Vec<_>>());
    assert_eq!(desk.depth("a"), 0);
}

#[test]
fn a_bad_line_of_a_file_stops_it_before_anything_is_sent() {
    let desk = Desk::with_config(ONE_ACTOR);
    desk.write("work.jsonl", "1\n\n{\"a\":}\n2\n");
    let ran = desk
        .run(&["send", "a", "--file", "work.jsonl", "--output", "json"])
        .failed(65);
    assert_snapshot!(ran.err, @r"
    error: line 3 of work.jsonl is not JSON
      cause: expected value, at column 6
      help: nothing was sent: correct the line and send the file again
    ");
    desk.run(&["send", "a", "--payload", "1"]).done();
    assert_eq!(desk.depth("a"), 1);
}

#[test]
fn a_bad_line_of_standard_input_is_named_with_what_went_out_before() {
    let desk = Desk::with_config(ONE_ACTOR);
    let ran = desk.pipe(&["send", "a,a", "-"], "1\n2\nthree\n4\n").failed(65);
    assert_snapshot!(ran.err, @r"
    error: line 3 of standard input is not JSON
      cause: expected ident, at column 2
      help: 2 messages went out before it: correct it and send on from line 3
    ");
    assert_eq!(desk.depth("a"), 2);
    let ran = desk.pipe(&["send", "a", "--file", "-", "--output", "json"], "3\n");
    assert_eq!(ran.done().json().as_array().unwrap().len(), 1);
    assert_eq!(desk.depth("a"), 3);
}

#[test]
fn what_is_written_line_by_line_is_sent_line_by_line() {
    let desk = Desk::with_config(ONE_ACTOR);
    let mut sender = desk.start(&["send", "a", "-"]);
    let mut input = sender.stdin.take().unwrap();
    for number in 1..=3 {
        writeln!(input, "{number}").unwrap();
        input.flush().unwrap();
        // The sender has the file; this is another process that looks at it.
        until("the line is in the queue", || {
            desk.path().join(".outrigger/queue.db").exists() && desk.depth("a") == number
        });
    }
    drop(input);
    let ran = Ran::of(sender.wait_with_output().unwrap()).done();
    assert_eq!(ran.err, "sent 3 messages to a\n");
}

#[test]
fn envelopes_are_put_as_they_stand() {
    let desk = Desk::with_config(ONE_ACTOR);
    let old = r#"{"job_id": "j", "route":{"steps":["x","y"],"current": 1 } ,"payload":  null, "mine":1.0}"#;
    desk.write("old.jsonl", format!("{old}\n"));
    let sent = desk
        .run(&["send", "a", "--envelopes", "old.jsonl", "--output", "json"])
        .done();
    assert_eq!((sent.out.as_str(), sent.err.as_str()), ("[\"j\"]\n", ""));
    assert_eq!(desk.run(&["take", "a"]).done().out, format!("{old}\n"));
}

#[test]
fn what_is_no_envelope_is_put_too_with_a_warning() {
    let desk = Desk::with_config(ONE_ACTOR);
    let ran = desk
        .pipe(&["send", "a", "--envelopes", "-"], b"{\"id\":\"m\"}\nno json\n\xff\n")
        .done();
    assert_snapshot!(ran.err, @r"
    warning: line 1 is no envelope, its actor will bury it: `route` is not an object
    warning: line 2 is no envelope, its actor will bury it: not JSON: expected ident at line 1 column 2
    warning: line 3 is no envelope, its actor will bury it: not UTF-8: invalid utf-8 sequence of 1 bytes from index 0
    sent 3 messages to a
    ");
    let taken = desk.run(&["take", "a", "-n", "9", "--output", "json"]).done().json();
    assert_eq!(
        taken,
        json!([{ "id": "m" }, { "raw": "no json" }, { "raw_base64": "/w==" }])
    );
}

#[test]
fn a_send_declares_what_its_configuration_declares() {
    let desk =
        Desk::with_config("prefix: p-\nactors: { a: { handler: { socket: s } }, b: { handler: { socket: s } } }\n");
    desk.run(&["send", "a", "--payload", "1"]).done();
    let queues = desk.run(&["queues", "--output", "json"]).done().json();
    let names: Vec<&str> = queues
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["p-a", "p-b", "p-error-end", "p-happy-end"]);
    let ran = desk.run(&["take", "a"]).failed(66);
    assert!(ran.err.contains("queues are named with their prefix: `p-a`"), "{ran:?}");
    desk.run(&["take", "p-a"]).done();
}

#[test]
fn without_a_configuration_the_first_queue_has_to_exist() {
    let desk = Desk::new();
    let ran = desk.run(&["send", "a", "--payload", "1"]).failed(66);
    assert_snapshot!(ran.err, @r"
    error: queue `a` does not exist
      help: run this where outrigger.yaml is, or make the queue with `--create`
    ");
    assert!(!desk.path().join(".outrigger").exists());
    desk.run(&["send", "a", "--payload", "1", "--create"]).done();
    desk.run(&["send", "a", "--payload", "2"]).done();
    assert_eq!(desk.depth("a"), 2);
    desk.run(&["send", "b", "--payload", "1"]).failed(66);
}

#[test]
fn an_unknown_later_actor_is_a_warning() {
    let desk = Desk::with_config(ONE_ACTOR);
    let ran = desk
        .run(&["send", "a,typo,happy-end,typo", "--payload", "1", "--id", "m"])
        .done();
    assert_eq!(ran.out, "m\n");
    assert_snapshot!(ran.err, @"warning: actor `typo` of the route has no queue: what comes that far ends in `error-end` with `no_queue`");
}

#[test]
fn a_payload_that_is_no_json_is_refused() {
    let desk = Desk::with_config(ONE_ACTOR);
    let ran = desk.run(&["send", "a", "--payload", "hello"]).failed(65);
    assert_snapshot!(ran.err, @r#"
    error: the payload is not JSON
      cause: expected value at line 1 column 1
      help: a text needs its quotes, and the shell others around them: --payload '"hello"'
    "#);
    let ran = desk.run(&["send", "a", "--file", "none.jsonl"]).failed(66);
    assert_snapshot!(ran.err, @r"
    error: cannot read none.jsonl
      cause: No such file or directory (os error 2)
    ");
}

#[test]
fn a_memory_queue_is_of_no_use_to_a_command() {
    let desk = Desk::with_config("queue: \"memory:\"\nactors: { a: { handler: { socket: s } } }\n");
    let ran = desk.run(&["send", "a", "--payload", "1"]).failed(78);
    assert_snapshot!(ran.err, @r"
    error: a `memory:` queue ends with its process, no other command can reach it
      help: use `sqlite:PATH` for work that several commands share
    ");
}

#[test]
fn queues_are_listed_for_people_and_for_scripts() {
    let desk = Desk::with_config(ONE_ACTOR);
    desk.pipe(&["send", "a", "-"], "1\n2\n").done();
    insta::with_settings!({ filters => [(r"\d+\.\ds", "[age]")] }, {
        assert_snapshot!(desk.run(&["queues"]).done().out, @r"
        queue      ready  in flight  oldest
        a              2          0    [age]
        error-end      0          0       -
        happy-end      0          0       -
        ");
    });
    let figures = desk.figures("a").unwrap();
    let keys: Vec<&str> = figures.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["depth", "in_flight", "name", "oldest_s"]);
    assert_eq!((&figures["depth"], &figures["in_flight"]), (&json!(2), &json!(0)));
    assert!(figures["oldest_s"].as_f64().unwrap() > 0.0);
    assert_eq!(
        desk.figures("happy-end").unwrap(),
        json!({ "name": "happy-end", "depth": 0, "in_flight": 0, "oldest_s": null })
    );
}

#[test]
fn a_command_that_only_looks_makes_no_file() {
    let desk = Desk::with_config(ONE_ACTOR);
    for args in [&["queues"][..], &["take", "a"], &["dead", "ls"]] {
        let ran = desk.run(args).failed(66);
        assert!(ran.err.contains("there is no queue file"), "{ran:?}");
    }
    assert!(!desk.path().join(".outrigger").exists());
}

#[test]
fn a_queue_that_nobody_declared_is_named_with_those_that_are_there() {
    let desk = Desk::with_config(ONE_ACTOR);
    desk.run(&["send", "a", "--payload", "1"]).done();
    let ran = desk.run(&["take", "b"]).failed(66);
    assert_snapshot!(ran.err, @r"
    error: queue `b` does not exist
      help: there are `a`, `error-end` and `happy-end`
    ");
}

#[test]
fn a_look_leaves_the_messages_where_they_are() {
    let desk = Desk::with_config(ONE_ACTOR);
    desk.pipe(&["send", "a", "-"], "1\n2\n3\n").done();
    let seen = desk
        .run(&["take", "a", "--peek", "-n", "2", "--output", "json"])
        .done()
        .json();
    assert_eq!(
        (&seen[0]["payload"], &seen[1]["payload"], seen.as_array().unwrap().len()),
        (&json!(1), &json!(2), 2)
    );
    assert_eq!(desk.depth("a"), 3);
}

#[test]
fn at_most_as_many_as_asked_for_are_taken() {
    let desk = Desk::with_config(ONE_ACTOR);
    desk.pipe(&["send", "a", "-"], "1\n2\n3\n").done();
    assert_eq!(desk.run(&["take", "a", "-n", "2"]).done().out.lines().count(), 2);
    assert_eq!(desk.depth("a"), 1);
    assert_eq!(
        desk.run(&["take", "a", "-n", "2", "--output", "json"]).done().json()[0]["payload"],
        3
    );
    assert_eq!(
        desk.run(&["take", "a", "-n", "2", "--output", "json"]).done().out,
        "[]\n"
    );
}

#[test]
fn waiting_ends_when_a_message_comes_or_the_time_is_over() {
    let desk = Desk::with_config(ONE_ACTOR);
    desk.run(&["send", "a", "--payload", "1"]).done();
    desk.run(&["take", "a"]).done();
    assert_eq!(desk.run(&["take", "a", "--wait", "10ms"]).done().out, "");
    let taker = desk.start(&["take", "a", "--wait", "60s"]);
    desk.run(&["send", "a", "--payload", "2", "--id", "m"]).done();
    let ran = Ran::of(taker.wait_with_output().unwrap()).done();
    assert!(ran.out.starts_with(r#"{"id":"m""#), "{ran:?}");
}

#[test]
fn what_cannot_be_printed_stays_in_the_queue() {
    let desk = Desk::with_config(ONE_ACTOR);
    desk.pipe(&["send", "a", "-"], "1\n2\n").done();

    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let ran = desk
        .command(&["take", "a", "-n", "2"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(
        (ran.status.code(), ran.stderr),
        (Some(74), Vec::new()),
        "a reader that left is no news"
    );
    assert_eq!(desk.depth("a"), 2);

    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ran = desk
        .command(&["take", "a", "--output", "json"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(74));
    assert!(
        String::from_utf8(ran.stderr)
            .unwrap()
            .starts_with("error: cannot write to standard output\n")
    );
    assert_eq!(desk.depth("a"), 2);
}

#[test]
fn a_line_stays_a_line_whatever_the_payload_looks_like() {
    let desk = Desk::with_config(ONE_ACTOR);
    desk.run(&["send", "a", "--id", "m", "--payload", "{\n  \"a\": 1\n}"])
        .done();
    let seen = desk.run(&["take", "a", "--peek", "--output", "json"]).done();
    assert!(
        seen.out.contains("{\n  \"a\": 1\n}"),
        "an array keeps the bytes: {seen:?}"
    );
    let line = desk.run(&["take", "a"]).done().out;
    assert_eq!(line.lines().count(), 1);
    assert!(line.ends_with("\"payload\":{   \"a\": 1 }}\n"), "{line}");
}
