//! Help, usage, `check`, `schema`, `completions` and `__exec`, through the binary.

mod desk;

use std::{
    io::{BufRead, BufReader, pipe},
    process::{Command, Stdio},
};

use desk::{Desk, ONE_ACTOR, Ran};
use insta::assert_snapshot;
use serde_json::{Value, json};

#[test]
fn the_help_names_every_command() {
    assert_snapshot!(Desk::new().run(&["--help"]).done().out, @r"
    Runs beside an application and takes the infrastructure out of it.

    Write a handler, a plain function in any language. Outrigger takes its work from a durable queue,
    carries it to the handler over a Unix socket and sends the result on; nothing is lost when anything
    is killed.

    Usage: outrigger [OPTIONS] <COMMAND>

    Commands:
      init         Make a folder with a handler, a configuration and a test that run at once
      up           Run everything that the configuration declares on this machine, handler processes too
      run          Run the sidecar alone, beside a handler that somebody else starts
      send         Put work into a route's first queue
      queues       Show every queue: ready, in flight, and the age of the oldest
      take         Print messages of a queue and acknowledge each after it was printed
      dead         Work on the messages that failed: list, show, send again, drop
      trace        Show a trace as a tree, with the time of each span
      tail         Print signal lines as they come in, until Ctrl-C
      top          Show each second how many signal lines come and go, until Ctrl-C
      check        Check a configuration and name every mistake at once
      schema       Print the JSON Schema of the configuration
      conformance  Check that a runtime speaks the handler protocol, by exchanges with its conformance
                   handler
      demo         The tour: 1,797 handwritten digits through three actors, and one corrupt image
      completions  Print the completion script of a shell
      help         Print this message or the help of the given subcommand(s)

    Options:
          --config <FILE>
              The configuration file [default: `$OUTRIGGER_CONFIG`, `$CONFIG_FILE`, else
              `./outrigger.yaml`]

          --queue <URL>
              The queue's URL, over the configuration's: `sqlite:PATH`,
              `amqp://USER:PASSWORD@HOST/VHOST`

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
}

#[test]
fn the_help_of_send_says_where_work_comes_from() {
    assert_snapshot!(Desk::new().run(&["send", "-h"]).done().out, @r"
    Put work into a route's first queue

    Usage: outrigger send [OPTIONS] <--payload <JSON>|--file <FILE>|--envelopes <FILE>|-> <ROUTE>

    Arguments:
      <ROUTE>  The actors that the message visits, in order: `a,b,c`
      [-]      A payload a line from standard input, written as `-`

    Options:
          --config <FILE>        The configuration file [default: `$OUTRIGGER_CONFIG`, `$CONFIG_FILE`,
                                 else `./outrigger.yaml`]
          --payload <JSON>       One payload, as JSON; its bytes are passed on unchanged
          --queue <URL>          The queue's URL, over the configuration's: `sqlite:PATH`,
                                 `amqp://USER:PASSWORD@HOST/VHOST`
          --file <FILE>          A payload a line; `-` is standard input. Of a file every line is
                                 checked before the first is sent
          --envelopes <FILE>     A whole envelope a line, put on the route's first queue as it stands;
                                 `-` is standard input
          --id <ID>              The message's id [default: a new `UUIDv7`]; only with one payload
          --deadline <TIME>      The moment after which no handler is called any more, as RFC 3339, or
                                 how long from now, as in `10m`
          --header <NAME=VALUE>  A header that goes with the message along its route; repeatable
          --create               Make the first queue where it does not exist
          --output <FORMAT>      For people, or one JSON value for scripts [default: text] [possible
                                 values: text, json]
      -h, --help                 Print help (see more with '--help')
    ");
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    let desk = Desk::with_config(ONE_ACTOR);
    for args in [
        &[][..],
        &["nonsense"],
        &["send", "a"],
        &["send", "a b", "--payload", "1"],
        &["send", "a,", "--payload", "1"],
        &["send", "a", "--payload", "1", "-"],
        &["send", "a", "-", "--id", "m"],
        &["send", "a", "--envelopes", "-", "--deadline", "1m"],
        &["send", "a", "--payload", "1", "--id", "a\tb"],
        &["send", "a", "--payload", "1", "--deadline", "soon"],
        &["send", "a", "--payload", "1", "--header", "k"],
        &["take", "a", "-n", "0"],
        &["take", "a", "--peek", "--wait", "1s"],
        &["take", "a", "--wait", "-1s"],
        &["queues", "--output", "yaml"],
        &["completions", "cmd"],
        &["check", "outrigger.yaml", "--config", "outrigger.yaml"],
    ] {
        let ran = desk.run(args).failed(64);
        assert!(!ran.err.is_empty(), "{args:?}");
    }
}

#[test]
fn three_mistakes_are_three_errors_with_line_and_caret() {
    let desk = Desk::with_config(
        "queue: kafka://broker\nactors:\n  clean:\n    handlr: { run: python3 clean.py }\n    timeout: soon\n",
    );
    let ran = desk.run(&["check"]).failed(78);
    assert_snapshot!(ran.err, @r"
    error: `queue`: it has to begin with `sqlite:PATH`, `amqp://HOST`, `amqps://HOST` or `memory:`
      --> outrigger.yaml:1:8
       |
     1 | queue: kafka://broker
       |        ^^^^^^^^^^^^^^
       = write `sqlite:PATH` or `amqp://HOST`, or leave it out for `sqlite:.outrigger/queue.db`

    error: unknown key `handlr` in `actors.clean`
      --> outrigger.yaml:4:5
       |
     4 |     handlr: { run: python3 clean.py }
       |     ^^^^^^
       = did you mean `handler`? known here: `concurrency`, `handler`, `idle_timeout`, `input`, `max_deliveries`, `max_frame`, `queue`, `replicas`, `reply`, `retry`, `timeout`

    error: `timeout`: `soon` is not a duration: expected a number at `soon`
      --> outrigger.yaml:5:14
       |
     5 |     timeout: soon
       |              ^^^^
       = for example `30s` or `5m`
    ");
    let found = desk.run(&["check", "--output", "json"]);
    assert_eq!(found.code, 78);
    let lines: Vec<_> = found
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["line"].as_u64())
        .collect();
    assert!(
        lines.contains(&Some(1)) && lines.contains(&Some(4)) && lines.contains(&Some(5)),
        "{found:?}"
    );
    for args in [&["up"][..], &["run"], &["send", "a", "--payload", "1"], &["queues"]] {
        desk.run(args).failed(78);
    }
    assert!(
        !desk.path().join(".outrigger").exists(),
        "nothing is made before all is right"
    );
}

#[test]
fn a_configuration_that_is_right_is_summed_up() {
    let desk = Desk::with_config(ONE_ACTOR);
    let ran = desk.run(&["check"]).done();
    assert_eq!(ran.err, "");
    let folder = desk.path().canonicalize().unwrap().display().to_string();
    assert_snapshot!(ran.out.replace(&folder, "[folder]"), @"ok: [folder]/outrigger.yaml: 1 actor `a`, queue `sqlite:.outrigger/queue.db`, ends `happy-end` and `error-end`");
    assert_eq!(
        desk.run(&["check", "outrigger.yaml", "--output", "json"]).done().out,
        "[]\n"
    );
    assert_eq!(
        desk.run(&["check", "--config", "outrigger.yaml", "--output", "json"])
            .done()
            .out,
        "[]\n"
    );
    let elsewhere = Desk::new();
    let file = desk.path().join("outrigger.yaml");
    elsewhere
        .run_with(&["check"], &[("OUTRIGGER_CONFIG", file.to_str().unwrap())])
        .done();
    elsewhere.run(&["check"]).failed(66);
    elsewhere.run(&["check", "none.yaml"]).failed(78);
}

#[test]
fn what_is_odd_is_a_warning_and_no_failure() {
    let desk = Desk::with_config(
        "actors:\n  a:\n    handler: { run: no-such-program --flag }\n    replicas: 4\n    concurrency: 2\n  b:\n    handler: { run: ./handler }\n",
    );
    let ran = desk.run(&["check"]).done();
    assert_snapshot!(ran.err, @r"
    warning: concurrency 2 is raised to the 4 replicas
      --> outrigger.yaml:5:18
       |
     5 |     concurrency: 2
       |                  ^
       = write `concurrency: 4` or more: each process works on at least one message

    warning: program `no-such-program` is not found
      --> outrigger.yaml:3:21
       |
     3 |     handler: { run: no-such-program --flag }
       |                     ^^^^^^^^^^^^^^^^^^^^^^
       = install it, or name it by its path, relative to this file's folder

    warning: program `./handler` is not found
      --> outrigger.yaml:7:21
       |
     7 |     handler: { run: ./handler }
       |                     ^^^^^^^^^
       = install it, or name it by its path, relative to this file's folder
    ");
    let found = desk.run(&["check", "--output", "json"]).done().json();
    assert_eq!(found.as_array().unwrap().len(), 3);
    assert!(found.as_array().unwrap().iter().all(|one| one["severity"] == "warning"));
}

#[test]
fn the_environment_alone_is_a_configuration() {
    let desk = Desk::new();
    let sidecar = [
        ("OUTRIGGER_QUEUE", "sqlite:q.db"),
        ("OUTRIGGER_ACTOR", "clean"),
        ("OUTRIGGER_SOCKET", "s"),
    ];
    let ran = desk.run_with(&["check"], &sidecar).done();
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str()),
        (
            "ok: the environment: 1 actor `clean`, queue `sqlite:q.db`, ends `happy-end` and `error-end`\n",
            ""
        )
    );
    desk.run_with(&["send", "clean", "--payload", "1"], &sidecar).done();
    assert!(desk.path().join("q.db").exists());
    let ran = desk.run_with(&["check"], &[("OUTRIGGER_SOCKET", "s")]).failed(78);
    assert_snapshot!(ran.err, @r"
    error: OUTRIGGER_SOCKET is set, and there is no actor that it could be for
      --> OUTRIGGER_SOCKET (environment)
       = name the actor in OUTRIGGER_ACTOR
    ");
}

#[test]
fn the_schema_describes_every_key() {
    let schema = Desk::new().run(&["schema"]).done().json();
    let mut bare = Vec::new();
    undescribed(&schema, "", &mut bare);
    assert!(schema["properties"]["actors"].is_object());
    assert_eq!(bare, Vec::<String>::new());
}

/// Collects the properties that say nothing about themselves.
fn undescribed(schema: &Value, path: &str, bare: &mut Vec<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, property) in properties {
            if property["description"].as_str().is_none_or(str::is_empty) {
                bare.push(format!("{path}.{name}"));
            }
            undescribed(property, &format!("{path}.{name}"), bare);
        }
    }
    for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
        undescribed(definition, name, bare);
    }
}

#[test]
fn completions_are_made_for_each_shell() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = desk.run(&["completions", shell]).done().out;
        assert!(script.contains("redrive") && !script.contains("__exec "), "{shell}");
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_news() {
    let desk = Desk::with_config(ONE_ACTOR);
    for args in [&["schema"][..], &["completions", "bash"], &["check"]] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let ran = desk
            .command(args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(
            (ran.status.code(), ran.stderr.as_slice()),
            (Some(74), &b""[..]),
            "{args:?}"
        );
    }
}

#[test]
fn colours_are_for_terminals() {
    let desk = Desk::with_config("actors: { a: { handler: {} } }\n");
    let ran = desk.run(&["check"]).failed(78);
    assert!(!ran.err.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn a_handler_process_becomes_its_program_and_only_for_its_parent() {
    let desk = Desk::new();
    let parent = std::process::id().to_string();
    let ran = desk.run(&["__exec", &parent, "--", "echo", "-n", "a b"]).done();
    assert_eq!(ran.out, "a b");
    let ran = desk.run(&["__exec", &parent, "--", "no-such-program"]).failed(66);
    assert_snapshot!(ran.err, @r"
    error: cannot run `no-such-program`
      cause: No such file or directory (os error 2)
    ");
    desk.run(&["__exec", "1", "--", "echo"]).failed(69);
    let limit = ["--descriptors=57", "--", "sh", "-c", "ulimit -Sn; ulimit -Hn"];
    let ran = desk.run(&[&["__exec", &*parent], &limit[..]].concat()).done();
    let limits: Vec<&str> = ran.out.lines().collect();
    assert!(limits[0] == "57" && limits[1] != "57", "the soft one alone: {ran:?}");
    let folder = desk.path().to_str().unwrap();
    let ran = Ran::of(desk.command(&["__exec", &parent, "--", "pwd"]).output().unwrap()).done();
    assert!(ran.out.trim_end().ends_with(folder), "{ran:?}");
}

#[test]
fn a_handler_that_others_have_yet_to_start_is_worth_a_word() {
    let desk = Desk::with_config(ONE_ACTOR);
    let mut sidecar = desk.start(&["run"]);
    let mut said = BufReader::new(sidecar.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let word = said.find(|line| line.contains("no handler yet")).unwrap();
    let word: Value = serde_json::from_str(&word).unwrap();
    assert_eq!(
        (&word["level"], &word["actor"], &word["socket"]),
        (&json!("WARN"), &json!("a"), &json!("a.sock"))
    );

    let stopped = Command::new("kill").args(["-TERM", &sidecar.id().to_string()]).status();
    assert!(stopped.unwrap().success());
    assert!(said.any(|line| line.contains("all work in flight is settled")));
    assert!(sidecar.wait().unwrap().success());
}
