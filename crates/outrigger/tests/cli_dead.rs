//! `dead ls`, `show`, `redrive` and `drop`, through the binary, on a queue in a file.

#![allow(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod desk;

use desk::{Desk, ONE_ACTOR};
use insta::assert_snapshot;
use serde_json::{Value, json};

const ID: &str = "0198aaaa-0000-7000-8000-000000000001";

/// A message as a station leaves it at the error-end.
fn letter(id: &str, actor: &str, code: &str) -> String {
    format!(
        r#"{{"id":"{id}","route":{{"actors":["a","b"],"current":{}}}, "payload":{{"x": 1.0}},"attempt":3,"deadline":"2020-01-01T00:00:00Z","error":{{"code":"{code}","message":"it broke","type":"ValueError","traceback":"File \"h.py\", line 1","actor":"{actor}","attempt":3,"at":"2026-01-02T03:04:05Z"}}}}"#,
        usize::from(actor == "b"),
    )
}

const BURIED: &str = r#"{"id":"grave","payload":null,"error":{"code":"invalid_envelope","message":"`payload` is missing","actor":"a","attempt":1,"at":"2026-01-02T03:04:05Z","raw":"{}"}}"#;

/// A desk with these messages at the error-end.
fn desk(letters: &[String]) -> Desk {
    let desk = Desk::with_config(ONE_ACTOR);
    desk.pipe(&["send", "error-end", "--envelopes", "-"], letters.join("\n"))
        .done();
    desk
}

fn ids(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect()
}

#[test]
fn failed_messages_are_listed_oldest_first() {
    let desk = desk(&[
        letter(ID, "a", "timeout"),
        BURIED.to_owned(),
        letter("m-2", "b", "E_MINE"),
    ]);
    assert_snapshot!(desk.run(&["dead", "ls"]).done().out, @r"
    id                                    actor  code              when                  attempt  message
    0198aaaa-0000-7000-8000-000000000001  a      timeout           2026-01-02 03:04:05Z        3  it broke
    grave                                 a      invalid_envelope  2026-01-02 03:04:05Z        1  `payload` is missing
    m-2                                   b      E_MINE            2026-01-02 03:04:05Z        3  it broke
    ");
    let listed = desk.run(&["dead", "ls", "--output", "json"]).done().json();
    assert_eq!(ids(&listed), [ID, "grave", "m-2"]);
    assert_eq!(
        listed[0],
        json!({ "id": ID, "actor": "a", "code": "timeout", "message": "it broke", "at": "2026-01-02T03:04:05Z", "attempt": 3 })
    );
    let some = desk
        .run(&["dead", "ls", "--actor", "a", "--code", "timeout", "--output", "json"])
        .done()
        .json();
    assert_eq!(ids(&some), [ID]);
}

#[test]
fn an_empty_error_end_is_an_empty_list() {
    let desk = Desk::with_config(ONE_ACTOR);
    desk.run(&["send", "a", "--payload", "1"]).done();
    assert_eq!(desk.run(&["dead", "ls", "--output", "json"]).done().out, "[]\n");
    let ran = desk.run(&["dead", "ls"]).done();
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str()),
        ("", "no failed message in `error-end`\n")
    );
}

#[test]
fn what_was_never_a_message_is_listed_too() {
    let desk = desk(&["nonsense".to_owned(), r#"{"id":"m","payload":1}"#.to_owned()]);
    let listed = desk.run(&["dead", "ls", "--output", "json"]).done().json();
    assert_eq!(listed[0]["code"], "invalid_envelope");
    assert_eq!(
        (&listed[0]["id"], &listed[0]["at"], &listed[0]["attempt"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!((&listed[1]["id"], &listed[1]["code"]), (&json!("m"), &Value::Null));
    desk.run(&["dead", "drop", "--all", "--code", "invalid_envelope"])
        .done();
    assert_eq!(desk.depth("error-end"), 1);
}

#[test]
fn a_message_is_explained_by_the_beginning_of_its_id() {
    let desk = desk(&[letter(ID, "b", "E_MINE"), letter("m-2", "a", "timeout")]);
    insta::with_settings!({ filters => [(r"\(\d+d.* ago\)", "([age] ago)")] }, {
        assert_snapshot!(desk.run(&["dead", "show", "0198"]).done().out, @r#"
        0198aaaa-0000-7000-8000-000000000001 failed at actor `b` with `E_MINE`

             what  ValueError: it broke
             when  2026-01-02 03:04:05Z ([age] ago)
          attempt  3
            route  a -> [b]
          payload  {"x": 1.0}
        traceback  File "h.py", line 1

          outrigger dead redrive 0198aaaa-0000-7000-8000-000000000001   sends it again, when the cause is mended
          outrigger dead drop 0198aaaa-0000-7000-8000-000000000001      removes it for good
        "#);
    });
    let shown = desk.run(&["dead", "show", "m-2", "--output", "json"]).done();
    assert_eq!(
        shown.out,
        format!("[{}]\n", letter("m-2", "a", "timeout")),
        "its bytes, unchanged"
    );
}

#[test]
fn an_id_that_nobody_has_or_a_beginning_that_several_have_is_refused() {
    let desk = desk(&[
        letter("m-1", "a", "x"),
        letter("m-2", "a", "x"),
        letter("m-10", "a", "x"),
    ]);
    assert_snapshot!(desk.run(&["dead", "show", "n"]).failed(66).err, @r"
    error: no message in `error-end` has the id `n`
      help: `outrigger dead ls` lists those that are there
    ");
    assert_snapshot!(desk.run(&["dead", "drop", "m-1", "m-"]).failed(64).err, @r"
    error: 3 ids begin with `m-`: `m-1`, `m-10` and `m-2`
      help: write more of the one that you mean
    ");
    assert_eq!(desk.depth("error-end"), 3, "one mistake, and nothing is done");
    let whole = desk.run(&["dead", "show", "m-1", "--output", "json"]).done().json();
    assert_eq!(
        ids(&whole),
        ["m-1"],
        "a whole id is meant, though another one begins with it"
    );
}

#[test]
fn an_id_that_stands_twice_is_all_of_its_messages() {
    let desk = desk(&[letter("m", "a", "x"), letter("n", "a", "x"), letter("m", "b", "y")]);
    let shown = desk.run(&["dead", "show", "m", "--output", "json"]).done();
    assert_eq!(ids(&shown.json()), ["m", "m"]);
    assert_eq!(shown.err, "2 messages stand under this id: here are all of them\n");
    let dropped = desk.run(&["dead", "drop", "m"]).done();
    assert_snapshot!(dropped.err, @r"
    2 messages stand under 1 id: all of them are meant
    dropped 2 messages
    ");
    assert_eq!(ids(&desk.peek("error-end")), ["n"]);
}

#[test]
fn a_redrive_goes_back_to_its_actor_with_a_clean_slate() {
    let desk = desk(&[letter("m", "a", "x"), letter("n", "a", "x")]);
    let ran = desk.run(&["dead", "redrive", "m"]).done();
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("m\n", "sent 1 message again\n"));
    let taken = desk.run(&["take", "a"]).done().out;
    assert_eq!(
        taken,
        "{\"id\":\"m\",\"route\":{\"actors\":[\"a\",\"b\"],\"current\":0}, \"payload\":{\"x\": 1.0}}\n"
    );
    assert_eq!(ids(&desk.peek("error-end")), ["n"]);
}

#[test]
fn a_message_whose_actor_has_no_queue_stays() {
    let desk = desk(&[letter("m", "b", "x")]);
    let ran = desk.run(&["dead", "redrive", "m"]).failed(66);
    assert_snapshot!(ran.err, @r"
    error: message `m` stays in `error-end`
      cause: queue `b` does not exist
      help: `outrigger queues` lists those that exist; `up` and `run` make them
    sent 0 messages again
    ");
    let ran = desk.run(&["dead", "redrive", "m", "--output", "json"]);
    assert_eq!(ran.code, 66);
    let error = "message `m` stays in `error-end`: queue `b` does not exist";
    assert_eq!(
        ran.json(),
        json!([{ "id": "m", "actor": "b", "status": "kept", "error": error }])
    );
    assert_eq!(ids(&desk.peek("error-end")), ["m"]);
}

#[test]
fn what_was_buried_cannot_be_sent_again_as_it_is() {
    let desk = desk(&[BURIED.to_owned(), letter("m", "a", "x")]);
    let ran = desk.run(&["dead", "redrive", "--all"]);
    assert_eq!((ran.code, ran.out.as_str()), (65, "m\n"));
    assert_snapshot!(ran.err, @r"
    error: message `grave` cannot be sent again as it is
      cause: message `grave` has no route: give it one
      help: `outrigger dead show` has its bytes: send a corrected message, then drop this one
    sent 1 message again
    ");
    assert_eq!(ids(&desk.peek("error-end")), ["grave"]);
}

#[test]
fn filters_choose_among_all() {
    let letters: Vec<String> = (0..300)
        .map(|number| letter(&format!("m-{number}"), ["a", "b"][number % 2], "x"))
        .collect();
    let desk = desk(&letters);
    let ran = desk
        .run(&["dead", "redrive", "--all", "--actor", "a", "--output", "json"])
        .done()
        .json();
    assert_eq!(ran.as_array().unwrap().len(), 150);
    assert_eq!(
        ran[0],
        json!({ "id": ran[0]["id"], "actor": "a", "status": "redriven" })
    );
    assert_eq!((desk.depth("a"), desk.depth("error-end")), (150, 150));
    let ran = desk.run(&["dead", "drop", "--all", "--code", "y"]).done();
    assert_eq!(ran.err, "dropped 0 messages\n");
    let ran = desk.run(&["dead", "drop", "--all", "--code", "x"]).done();
    assert_eq!(
        (ran.out.lines().count(), ran.err.as_str()),
        (150, "dropped 150 messages\n")
    );
    assert_eq!(desk.depth("error-end"), 0);
}

#[test]
fn ids_and_all_are_not_mixed() {
    let desk = desk(&[letter("m", "a", "x")]);
    for args in [
        &["drop"][..],
        &["drop", "m", "--all"],
        &["drop", "m", "--actor", "a"],
        &["redrive"],
        &["show"],
        &["show", ""],
    ] {
        desk.run(&[&["dead"][..], args].concat()).failed(64);
    }
    assert_eq!(desk.depth("error-end"), 1);
}
