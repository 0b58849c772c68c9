//! Handlers in Java and C++ under `up`: they work, are started again where they were killed, and leave in order.

use std::{
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::harness::{Field, Signal, is_alive, json, signal, wait_until, within};

const SDKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdks");
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/e2e/java_cpp");

/// One build at a time: tests are threads of one process.
static BUILDING: Mutex<()> = Mutex::new(());

/// A folder for what is built, which outlives the test.
fn out(name: &str) -> PathBuf {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&out).expect("a folder");
    out
}

#[track_caller]
fn run(program: &str, words: &[&str]) {
    let status = Command::new(program).args(words).status().expect("it can be run");
    assert!(status.success(), "{program} {words:?} ended with {status}");
}

/// `java -cp outrigger.jar Work.java`: the language's own way to start a single file.
fn java(rest: &str) -> Field {
    let out = out("java");
    {
        let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        run("sh", &[&format!("{SDKS}/java/build.sh"), out.to_str().expect("a path")]);
    }
    served_by(
        &format!("java -cp {}/outrigger.jar {SOURCES}/Work.java", out.display()),
        rest,
    )
}

fn cpp(rest: &str) -> Field {
    let program = out("cpp").join("work");
    {
        static BUILT: Mutex<bool> = Mutex::new(false);
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        if !*built {
            let flags = "-std=c++17 -O1 -pthread -Wall -Wextra -Werror";
            let mut words: Vec<&str> = flags.split(' ').collect();
            let (include, source) = (format!("-I{SDKS}/cpp"), format!("{SOURCES}/work.cpp"));
            words.extend([&*include, &*source, "-o", program.to_str().expect("a path")]);
            run("g++", &words);
            *built = true;
        }
    }
    served_by(&program.display().to_string(), rest)
}

fn served_by(command: &str, rest: &str) -> Field {
    Field::new(&format!(
        "actors: {{ a: {{ handler: {{ run: \"{command}\" }}{rest} }} }}"
    ))
}

fn works(field: &Field) {
    field.load(&["a"], 20);
    field.send("a", "bad", r#"{"fail": "no good"}"#);
    field.send("a", "again", r#"{"retry": true}"#);
    field.send("a", "many", r#"{"copies": 3}"#);
    let up = field.up();
    let error = field.wait_for_error();
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!("bad_input"), &json!("no good"))
    );
    let done = field.wait_for("happy-end", 24);
    let payload = |id: &str| &done.iter().find(|message| message["id"] == id).expect("it is there")["payload"];
    assert_eq!(*payload("m7"), json!({"done": {"n": 7}, "attempt": 1}));
    assert_eq!(*payload("again"), json!({"done": {"retry": true}, "attempt": 2}));
    let copies = done.iter().filter(|message| message["payload"] == json!({"copies": 3}));
    assert_eq!(copies.count(), 3);
    assert!(up.stop().success());
}

fn is_started_again_after_a_sigkill(field: &Field) {
    field.send("a", "held", r#"{"gated": true}"#);
    let up = field.up();
    wait_until("the handler was called", || {
        (field.notes().calls_for("held") == 1).then_some(())
    });
    let first = field.notes().starts[0];
    signal(first, Signal::SIGKILL);
    wait_until("another one was called", || {
        (field.notes().calls_for("held") == 2).then_some(())
    });
    field.write("gate", "");
    assert_eq!(field.wait_for("happy-end", 1)[0]["id"], "held");
    assert_eq!(field.notes().starts.len(), 2);
    assert!(!is_alive(first));
    assert!(up.stop().success());
}

fn drains_at_sigterm(field: &Field) {
    field.send("a", "held", r#"{"gated": true}"#);
    field.send("a", "waiting", "{}");
    let up = field.up();
    wait_until("the handler was called", || {
        (field.notes().calls_for("held") == 1).then_some(())
    });
    up.signal(Signal::SIGTERM);
    wait_until("/readyz is red", || (!up.is_ready()).then_some(()));
    let handler = field.notes().starts[0];
    assert!(is_alive(handler), "the handler works on");
    field.write("gate", "");
    assert!(up.ended(Duration::from_secs(30)).success());
    assert!(!is_alive(handler), "no handler is left");
    assert_eq!(field.ids("happy-end").into_keys().collect::<Vec<_>>(), ["held"]);
    assert_eq!(field.depth("a"), 1, "what waits stays");
}

fn leaves_with_an_up_that_is_killed(field: &Field) {
    field.send("a", "held", r#"{"gated": true}"#);
    let up = field.up();
    wait_until("the handler was called", || {
        (field.notes().calls_for("held") == 1).then_some(())
    });
    up.kill();
    let handler = field.notes().starts[0];
    within(Duration::from_secs(2), "the handler is gone", || {
        (!is_alive(handler)).then_some(())
    });
}

#[test]
fn a_handler_in_java_works() {
    works(&java(", concurrency: 4"));
}

#[test]
fn a_handler_in_cpp_works() {
    works(&cpp(", concurrency: 4"));
}

#[test]
fn a_handler_in_java_is_started_again_after_a_sigkill() {
    is_started_again_after_a_sigkill(&java(""));
}

#[test]
fn a_handler_in_cpp_is_started_again_after_a_sigkill() {
    is_started_again_after_a_sigkill(&cpp(""));
}

#[test]
fn a_handler_in_java_drains_at_sigterm() {
    drains_at_sigterm(&java(""));
}

#[test]
fn a_handler_in_cpp_drains_at_sigterm() {
    drains_at_sigterm(&cpp(""));
}

#[test]
fn a_handler_in_java_leaves_with_an_up_that_is_killed() {
    leaves_with_an_up_that_is_killed(&java(""));
}

#[test]
fn a_handler_in_cpp_leaves_with_an_up_that_is_killed() {
    leaves_with_an_up_that_is_killed(&cpp(""));
}
