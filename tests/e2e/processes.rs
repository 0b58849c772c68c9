//! Handler processes that `up` starts: their environment, their errors, their lives.

use std::{fs, os::unix::fs::PermissionsExt, process::Command, time::Duration};

use crate::harness::{Field, HANDLERS, Sidecar, Signal, interpreter, is_alive, json, signal, wait_until, within};

fn python(function: &str, rest: &str) -> Field {
    let field = Field::new(&format!(
        "actors: {{ a: {{ handler: {{ run: \"{} -m outrigger handlers.py:{function}\", env: {{ MY_OWN: given }} }}{rest} }} }}",
        interpreter()
    ));
    field.write("handlers.py", HANDLERS);
    field
}

#[test]
fn a_handler_is_told_what_it_works_on_and_gets_a_clean_environment() {
    let field = python("tell", ", replicas: 2, concurrency: 3");
    field.ok(&["send", "a", "--id", "m", "--payload", "1", "--header", "tenant=x"]);
    let up = field.start(
        &["up"],
        &[
            ("OUTRIGGER_LOG", "info"),
            ("OUTRIGGER__ACTORS__A__TIMEOUT", "1m"),
            ("ASYA_RABBITMQ_URL", "amqp://secret"),
            ("ASYA_RABBITMQ_PASSWORD", "secret"),
            ("ASYA_RABBITMQ_PASSWORD_FILE", "secret"),
            ("MY_INHERITED", "yes"),
        ],
    );
    up.ready();
    let told = field.wait_for("happy-end", 1).remove(0)["payload"].take();
    assert_eq!(
        (&told["id"], &told["actor"], &told["attempt"]),
        (&json!("m"), &json!("a"), &json!(1))
    );
    assert_eq!(told["headers"]["tenant"], "x");
    let folder = std::fs::canonicalize(&field).expect("the folder");
    assert_eq!(
        told["folder"],
        folder.to_str().expect("text"),
        "it runs in the configuration's folder"
    );
    assert_eq!(told["group"], true, "it leads a process group of its own");
    let environment = told["environment"].as_object().expect("an object");
    let names: Vec<&str> = environment.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "MY_INHERITED",
            "MY_OWN",
            "OUTRIGGER_ACTOR",
            "OUTRIGGER_HANDLER_CONCURRENCY",
            "OUTRIGGER_HANDLER_SOCKET"
        ]
    );
    assert_eq!(
        environment["OUTRIGGER_HANDLER_CONCURRENCY"], "2",
        "its share of three, rounded up"
    );
    assert!(
        environment["OUTRIGGER_HANDLER_SOCKET"]
            .as_str()
            .is_some_and(|path| path.len() <= 100)
    );
    let mode = |path: &std::path::Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    let socket = std::path::Path::new(environment["OUTRIGGER_HANDLER_SOCKET"].as_str().expect("a path"));
    assert_eq!((mode(socket), mode(socket.parent().expect("a folder"))), (0o600, 0o700));
    assert!(up.stop().success());
}

#[test]
fn an_exception_is_a_record_with_its_type_and_traceback() {
    let field = python("fail", "");
    field.send("a", "m", r#"{"why": "because"}"#);
    let up = field.up();
    let error = field.wait_for_error();
    assert_eq!(
        (&error["code"], &error["type"]),
        (&json!("handler_error"), &json!("ValueError")),
        "{error}"
    );
    assert!(
        error["message"].as_str().is_some_and(|text| text.contains("because")),
        "{error}"
    );
    assert!(
        error["traceback"]
            .as_str()
            .is_some_and(|text| text.contains("handlers.py")),
        "{error}"
    );
    assert!(up.stop().success());
}

#[test]
fn retry_in_python_is_tried_again_and_the_handler_sees_its_attempt() {
    let field = python("fail", "");
    field.send("a", "m", r#"{"failures": 1, "after": 0.1}"#);
    let up = field.up();
    assert_eq!(field.wait_for("happy-end", 1)[0]["payload"], json!({"attempt": 2}));
    assert!(up.stop().success());
}

#[test]
fn a_handler_that_ends_by_itself_is_started_again() {
    let field = python("work", "");
    let up = field.up();
    let first = field.notes().starts[0];
    signal(first, Signal::SIGTERM);
    wait_until("another one is started", || {
        (field.notes().starts.len() == 2).then_some(())
    });
    up.ready();
    field.load(&["a"], 3);
    field.wait_for("happy-end", 3);
    assert!(!is_alive(first));
    assert!(up.stop().success());
}

#[test]
fn what_a_handler_prints_is_passed_on_with_its_actors_name() {
    let field = Field::new(&format!(
        "actors: {{ a: {{ handler: {{ run: \"{} -m outrigger loud.py:process\" }} }} }}",
        interpreter()
    ));
    field.write("loud.py", "import sys\ndef process(payload):\n    print('to stdout')\n    print('to stderr', file=sys.stderr)\n    return payload\n");
    field.send("a", "m", "1");
    let up = field.up();
    field.wait_for("happy-end", 1);
    wait_until("both lines were passed on", || {
        let said = up.said();
        (said.contains("a | to stdout\n") && said.contains("a | to stderr\n")).then_some(())
    });
    assert!(up.stop().success());
}

#[test]
fn a_handler_that_cannot_start_keeps_its_messages_waiting_and_is_tried_again() {
    let field = Field::new("actors: { a: { handler: { run: \"./app\" } } }");
    field.load(&["a"], 2);
    let up = field.start(&["up"], &[]);
    wait_until("it was tried", || {
        up.lines()
            .iter()
            .any(|line| line["level"] == "WARN" && line["actor"] == "a")
            .then_some(())
    });
    assert!(!up.is_ready());
    assert_eq!((field.depth("a"), field.depth("error-end")), (2, 0));
    field.write("handlers.py", HANDLERS);
    field.write(
        "app.draft",
        format!("#!/bin/sh\nexec {} -m outrigger handlers.py:work\n", interpreter()),
    );
    let draft = field.path("app.draft");
    fs::set_permissions(&draft, PermissionsExt::from_mode(0o755)).expect("permissions");
    fs::rename(draft, field.path("app")).expect("it is moved");
    field.wait_for("happy-end", 2);
    assert!(up.stop().success());
}

#[test]
fn an_up_that_leaves_takes_its_handlers_along() {
    let field = python("work", ", replicas: 2, concurrency: 2");
    let up = field.up();
    // It is ready with the first of them.
    wait_until("both are started", || (field.notes().starts.len() == 2).then_some(()));
    let handlers = field.notes().starts;
    assert!(up.stop().success());
    within(Duration::from_secs(1), "no handler is left", || {
        handlers.iter().all(|pid| !is_alive(*pid)).then_some(())
    });
}

/// We have many connections at once; a program that uses `select` may not have them.
#[test]
fn a_process_has_the_limit_of_descriptors_that_we_were_given_and_we_have_more() {
    let field = Field::new("actors: { a: { handler: { run: \"sh -c 'echo given $(ulimit -Sn)'\" } } }");
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -Sn 257 && exec \"$0\" up",
        env!("CARGO_BIN_EXE_outrigger"),
    ]);
    field.prepare(&mut command);
    let up = Sidecar::start(command, field.next_log());
    wait_until("the process says its limit", || {
        up.said().contains("given 257").then_some(())
    });
    let limits = fs::read_to_string(format!("/proc/{}/limits", up.pid())).expect("limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft: u64 = files
        .and_then(|line| line.split_whitespace().nth(3)?.parse().ok())
        .expect("a number");
    assert!(soft > 257, "{soft}");
}

#[test]
fn a_signal_that_our_starter_has_blocked_reaches_us_and_our_processes() {
    let field = Field::new("actors: { a: { handler: { run: \"sh -c 'grep SigBlk /proc/self/status'\" } } }");
    let mut command = Command::new("env");
    command.args(["--block-signal=TERM", env!("CARGO_BIN_EXE_outrigger"), "up"]);
    field.prepare(&mut command);
    let up = Sidecar::start(command, field.next_log());
    wait_until("the process says what is blocked", || {
        up.said().contains("0000000000000000").then_some(())
    });
    up.stop();
}
