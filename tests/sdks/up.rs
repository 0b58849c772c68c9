//! A handler in Rust as the handler of an actor, under `outrigger up`.

use std::path::Path;

use crate::{
    harness::{Field, Value, json},
    runtimes::built,
};

/// A folder with one actor, whose handler is an example of the Rust runtime.
fn field() -> Field {
    let conformance = built("rust").remove(0);
    let words = Path::new(&conformance).with_file_name("words");
    Field::new(&format!(
        "actors: {{ words: {{ handler: {{ run: \"{}\" }}, concurrency: 4 }} }}",
        words.display()
    ))
}

#[test]
fn a_handler_in_rust_serves_an_actor() {
    let field = field();
    field.send("words", "m", "{\"text\":\"To be or not to be\"}");
    let up = field.up();
    let messages = field.wait_for("happy-end", 4);
    let payloads: Vec<&Value> = messages.iter().map(|message| &message["payload"]).collect();
    let word = |word: &str, count: usize| json!({"word": word, "count": count});
    assert_eq!(
        payloads,
        [&word("be", 2), &word("not", 1), &word("or", 1), &word("to", 2)]
    );
    assert!(up.stop().success());
}

#[test]
fn its_failures_arrive_at_the_error_end() {
    let field = field();
    let up = field.up();
    field.send("words", "empty", "{\"text\":\" \"}");
    field.send("words", "misfit", "{\"txt\":\"x\"}");
    let mut failed = field.wait_for("error-end", 2);
    failed.sort_by_key(|message| message["id"].to_string());
    let told = |message: &Value, field: &str| message["error"][field].as_str().unwrap_or_default().to_owned();
    assert_eq!(told(&failed[0], "code"), "no_words");
    assert_eq!(told(&failed[0], "message"), "the text has no words");
    assert_eq!(told(&failed[0], "type"), "Fail");
    assert_eq!(told(&failed[1], "code"), "invalid_payload");
    assert!(
        told(&failed[1], "message").contains("missing field `text`"),
        "{}",
        failed[1]
    );
    assert!(up.stop().success());
}
