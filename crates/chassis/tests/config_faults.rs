//! The loader from outside: what is wrong, where it stands, and what to do about it.

mod config_model;

use chassis::config::{self, Colour};
use config_model::{Root, faults, load, rendered, sources};
use insta::assert_snapshot;
use proptest::prelude::*;

#[test]
fn three_mistakes_are_three_errors_with_line_and_caret() {
    let text = "\
actors:
  clean:
    handler: { run: python3 clean.py }
    timeot: 5m
    replicas: many
queue_type: quorun
";
    assert_snapshot!(rendered(text, &[]), @r###"
    error: unknown key `timeot` in `actors.clean`
      --> outrigger.yaml:4:5
       |
     4 |     timeot: 5m
       |     ^^^^^^
       = did you mean `timeout`? known here: `handler`, `max_body`, `max_deliveries`, `replicas`, `timeout`

    error: `replicas` has to be a whole number, and this is a string
      --> outrigger.yaml:5:15
       |
     5 |     replicas: many
       |               ^^^^
       = without the key it is `1`

    error: `queue_type` cannot be `quorun`
      --> outrigger.yaml:6:13
       |
     6 | queue_type: quorun
       |             ^^^^^^
       = did you mean `quorum`? use `quorum` or `classic`
    "###);
}

#[test]
fn an_environment_variable_is_named_in_the_place_of_a_line() {
    assert_snapshot!(rendered("", &[("OUTRIGGER__SIGNALS__PRT", "9")]), @r###"
    error: unknown key `prt` in `signals`
      --> OUTRIGGER__SIGNALS__PRT (environment)
       = did you mean `port`? known here: `keepalive`, `port`
    "###);
}

#[test]
fn every_kind_of_wrong_value_says_what_is_wanted() {
    let text = "\
queue: kafka:x
prefix: 5
calls: { listen: 5, breaker: on }
signals: { port: 70000, keepalive: yes }
log: 5
actors: []
token:
";
    assert_snapshot!(faults(text, &[]), @r###"
    outrigger.yaml:1:8: error: `queue`: `kafka:x` names no transport; write sqlite:PATH or amqp://HOST
    outrigger.yaml:2:9: error: `prefix` has to be a string, and this is a number; put it in quotes: "5"
    outrigger.yaml:3:18: error: `listen` has to be a string or a list, and this is a number; put it in quotes: "5"
    outrigger.yaml:3:30: error: `breaker` cannot be `on`; use `off`, or a mapping
    outrigger.yaml:4:18: error: `port` has to be at most 65535, and this is `70000`; without the key it is `17000`
    outrigger.yaml:4:36: error: `keepalive` has to be true or false, and this is a string; write `true`
    outrigger.yaml:5:6: error: `log` has to be a mapping, and this is a number; its keys are `ca_file`, `colour` and `level`
    outrigger.yaml:6:1: error: `actors` has to be a mapping, and this is a list; write `key: value` lines below it
    outrigger.yaml:7:1: error: `token` has no value, and has to be a string; give it a value, or take the key out
    "###);
}

#[test]
fn actors_are_told_what_they_lack() {
    let text = "\
actors:
  a b: { handler: { run: x } }
  e: {}
  h:
  f: { handler: x, timeout: -1, max_body: 10M }
  g: { handler: { run: x }, replicas: 0, max_deliveries: 11, timeout: [5] }
gateway:
";
    assert_snapshot!(faults(text, &[]), @r###"
    outrigger.yaml:2:3: error: key `a b` has to match `^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`; use letters, digits, `_` and `-`
    outrigger.yaml:3:3: error: key `handler` is missing in `actors.e`; add `handler:` (What does the work), or set OUTRIGGER__ACTORS__E__HANDLER
    outrigger.yaml:4:3: error: key `handler` is missing in `actors.h`; add `handler:` (What does the work), or set OUTRIGGER__ACTORS__H__HANDLER
    outrigger.yaml:5:17: error: `handler` has to be a mapping, and this is a string; its keys are `run`, `dialect`, `socket` and `http`
    outrigger.yaml:5:29: error: `timeout` has to be at least 0, and this is `-1`; for example `30s` or `5m`
    outrigger.yaml:5:43: error: `max_body`: `10M` is not a size: `M` is no unit; use B, KB, MB, GB, TB, KiB, MiB, GiB or TiB; for example `10MiB` or `64KB`
    outrigger.yaml:6:39: error: `replicas` has to be at least 1, and this is `0`; without the key it is `1`
    outrigger.yaml:6:58: error: `max_deliveries` has to be at most 10, and this is `11`; without the key it is `0`
    outrigger.yaml:6:62: error: `timeout` has to be a duration, and this is a list; for example `30s` or `5m`
    outrigger.yaml:7:1: error: key `listen` is missing in `gateway`; add `listen:` (The address to listen on), or set OUTRIGGER__GATEWAY__LISTEN
    "###);
}

#[test]
fn an_alternative_is_recognised_by_its_tag_or_its_keys() {
    let text = "\
actors:
  b: { handler: { run: x, socket: y } }
  c: { handler: {} }
  d: { handler: { sockt: y } }
  e: { handler: { socket: y, dialect: asya2 } }
  f: { handler: { socket: y, run_as: me } }
backends:
  a: { type: fle, path: x }
  b: { path: x }
  c: { type: kafka, brokers: x }
  d: { type: file, paht: x }
calls: { breaker: { failures: x } }
";
    assert_snapshot!(faults(text, &[]), @r###"
    outrigger.yaml:2:27: error: `run` and `socket` exclude each other in `actors.b.handler`; keep one of them
    outrigger.yaml:3:8: error: `handler` does not say what it is; give one of `run`, `socket` or `http`
    outrigger.yaml:4:19: error: unknown key `sockt` in `actors.d.handler`; did you mean `socket`? give one of `run`, `socket` or `http`
    outrigger.yaml:5:39: error: `dialect` cannot be `asya2`; did you mean `asya-2`? use `plain` or `asya-2`
    outrigger.yaml:6:30: error: unknown key `run_as` in `actors.f.handler`; known here: `dialect`, `socket`
    outrigger.yaml:8:14: error: `type` cannot be `fle`; did you mean `file`? use `file` or `kafka`
    outrigger.yaml:9:3: error: key `type` is missing in `backends.b`; add `type:` with `file` or `kafka`
    outrigger.yaml:10:30: error: `brokers` has to be a list, and this is a string; write it as a list: [ x ]
    outrigger.yaml:11:20: error: unknown key `paht` in `backends.d`; did you mean `path`? known here: `path`, `type`
    outrigger.yaml:12:31: error: `failures` has to be a whole number, and this is a string; write a whole number
    "###);
}

#[test]
fn the_environment_is_told_what_is_wrong_with_it() {
    let environment = [
        ("OUTRIGGER__SIGNALS__PORT", "x"),
        ("OUTRIGGER__CALLS", "{\"listen\": }"),
        ("OUTRIGGER__ACTRS__A", "1"),
        ("OUTRIGGER__PREFIX__X", "1"),
        ("OUTRIGGER__TOKEN", "a"),
        ("OUTRIGGER__TOKEN_FILE", "/nonexistent/token"),
        ("OUTRIGGER__QUEUE_FILE", "/nonexistent/queue"),
        ("OUTRIGGER__", "1"),
    ];
    assert_snapshot!(faults("prefix: a\n", &environment), @r###"
    OUTRIGGER__: error: `OUTRIGGER__` has an empty level; two underscores stand between two keys: OUTRIGGER__LOG__LEVEL
    OUTRIGGER__ACTRS__A: error: unknown key `actrs` at the top level; did you mean `actors`? known here: `actors`, `backends`, `calls`, `gateway`, `log`, `prefix`, `queue`, `queue_type`, `signals`, `token`
    OUTRIGGER__CALLS: error: `calls` has to be a mapping, and this is a string; it looks like JSON and is not: expected value at line 1 column 12
    OUTRIGGER__PREFIX__X: error: OUTRIGGER__PREFIX__X cannot be set: it stands inside a string; correct the file, or set the whole of it as JSON
    OUTRIGGER__QUEUE_FILE: error: cannot read /nonexistent/queue: No such file or directory (os error 2); name a readable text file that holds the value
    OUTRIGGER__SIGNALS__PORT: error: `port` has to be a whole number, and this is a string; without the key it is `17000`
    OUTRIGGER__TOKEN_FILE: error: both OUTRIGGER__TOKEN and OUTRIGGER__TOKEN_FILE are set; keep one of them
    "###);
}

#[test]
fn variables_in_the_file_are_told_at_their_column() {
    let text = "queue: ${A}/${B}\nprefix: \"é${C\"\ntoken: ${D-x} ${}\nlog: { level: '${A}' }\n";
    assert_snapshot!(faults(text, &[]), @r###"
    outrigger.yaml:1:8: error: variable A is not set; set A, or give a default: `${A:-default}`
    outrigger.yaml:1:13: error: variable B is not set; set B, or give a default: `${B:-default}`
    outrigger.yaml:2:11: error: `${` is never closed; add `}`, or write `$$` for a dollar sign
    outrigger.yaml:3:8: error: `${D-x}` is not understood; write `${D}` or `${D:-default}`
    outrigger.yaml:3:15: error: `${}` names no variable; write `${NAME}` or `${NAME:-default}`, and `$$` for a dollar sign
    outrigger.yaml:4:16: error: variable A is not set; set A, or give a default: `${A:-default}`
    "###);
}

#[test]
fn text_that_is_not_yaml_is_told_with_the_likely_cause() {
    let wrong = [
        "queue: a: b\n",
        "log: { level: ${X} }\n",
        "log: { level: x\n\n",
        "log:\n  level: x\n\tcolour: y\n",
        "a: *b\n",
    ];
    let all: String = wrong.iter().map(|text| faults(text, &[])).collect();
    assert_snapshot!(all, @r###"
    outrigger.yaml:1:9: error: not YAML: mapping values are not allowed in this context; put a value that holds a colon in quotes
    outrigger.yaml:1:16: error: not YAML: while parsing a flow mapping, did not find expected ',' or '}'; put a value that holds `${..}` between braces or brackets in quotes: [ "${NAME}" ]
    outrigger.yaml:1:16: error: not YAML: while parsing a flow mapping, did not find expected ',' or '}'; close the bracket or brace, or put a comma between two values
    outrigger.yaml:2:10: error: not YAML: while scanning a plain scalar, found a tab; indent with spaces: YAML allows no tabs there
    outrigger.yaml:1:4: error: not YAML: while parsing node, found unknown anchor; give the value that is meant its name first: `key: &name value`
    "###);
}

#[test]
fn keys_that_stand_twice_tags_and_second_documents_are_refused() {
    let wrong = [
        "queue: x\nqueue: y\n",
        "queue: !env x\n",
        "queue: sqlite:x\n---\nprefix: y\n",
        "? [a, b]\n: c\n",
        "- a\n",
        "<<: 5\n",
    ];
    let all: String = wrong.iter().map(|text| faults(text, &[])).collect();
    assert_snapshot!(all, @r###"
    outrigger.yaml:2:1: error: key `queue` stands twice; it is already set in line 1: keep one of them
    outrigger.yaml:1:8: error: tag `env` is not understood; leave it out
    outrigger.yaml:3:1: error: a second document begins here; keep one document in the file
    outrigger.yaml:1:3: error: a key has to be a plain text; write it as `key: value`
    outrigger.yaml:1:1: error: the configuration has to be a mapping, and this is a list; its keys are `actors`, `backends`, `calls`, `gateway`, `log`, `prefix`, `queue`, `queue_type`, `signals` and `token`
    outrigger.yaml:1:1: error: `<<` merges mappings, and this is a number; write `<<: *name`, where `&name` stands before a mapping
    "###);
}

#[test]
fn rules_of_the_root_get_their_lines_and_variables() {
    let text = "\
actors:
  a: { handler: { run: x }, timeout: 0 }
  b: { handler: { run: x }, replicas: 9, max_deliveries: 9 }
";
    assert_snapshot!(faults(text, &[("OUTRIGGER__ACTORS__B__TIMEOUT", "0s")]), @r###"
    outrigger.yaml:2:38: error: a timeout of zero lets no call finish; leave it out for 5m
    outrigger.yaml:3:3: warning: nine is an odd number of deliveries
    outrigger.yaml:3:39: warning: more replicas than cores
    OUTRIGGER__ACTORS__B__TIMEOUT: error: a timeout of zero lets no call finish; leave it out for 5m
    "###);
}

#[test]
fn warnings_do_not_stop_anything() {
    let environment = [
        ("OUTRIGGER_QEUE", "x"),
        ("OUTRIGGER_WHATEVER", "x"),
        ("OUTRIGGER_LOG", "x"),
        ("OUTRIGGER_CONFIG", ""),
        ("OUTRIGGER_SERVICE_HOST", "10.0.0.1"),
        ("OUTRIGGER_PORT", "tcp://10.0.0.1:80"),
        ("OUTRIGGER_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("OUTRIGGERS", "x"),
    ];
    let sources = sources("log:\n  colour: true\n", &environment)
        .with_known("OUTRIGGER_LOG")
        .with_overlay(config::Overlay::new("OUTRIGGER_QUEUE", "queue"));
    let loaded = config::load::<Root>(&sources).unwrap();
    assert_snapshot!(loaded.warnings.render(Colour::Off), @r###"
    warning: `colour` is deprecated
      --> outrigger.yaml:2:3
       |
     2 |   colour: true
       |   ^^^^^^

    warning: OUTRIGGER_QEUE is no variable of ours
      --> OUTRIGGER_QEUE (environment)
       = did you mean OUTRIGGER_QUEUE?

    warning: OUTRIGGER_WHATEVER is no variable of ours
      --> OUTRIGGER_WHATEVER (environment)
       = a setting is written OUTRIGGER__SECTION__KEY, with two underscores at each level
    "###);
}

#[test]
fn the_machine_form_carries_every_part() {
    let error = load("signals: { port: 70000 }\n", &[("OUTRIGGER__PREFX", "9")]).unwrap_err();
    assert_snapshot!(serde_json::to_string_pretty(&error.findings()[0]).unwrap(), @r###"
    {
      "severity": "error",
      "file": "outrigger.yaml",
      "line": 1,
      "column": 18,
      "path": "signals.port",
      "message": "`port` has to be at most 65535, and this is `70000`",
      "help": "without the key it is `17000`"
    }
    "###);
    let second = serde_json::to_value(&error.findings()[1]).unwrap();
    assert_eq!(second["variable"], "OUTRIGGER__PREFX");
    assert!(second.get("line").is_none() && second.get("file").is_none());
}

#[test]
fn no_secret_is_ever_shown() {
    let text = "\
queue: kafka://user:hunter2@host
token: [ hunter2 ]
tokn: hunter2
backends:
  x: { type: fle, url: \"a://b:hunter2@c\" }
  y: { type: fle, password: hunter2 }
  z: { type: kafka, password: hunter2 }
";
    let shown = rendered(text, &[("OUTRIGGER__GATEWAY__LISTEN", "[\"amqp://u:hunter2@h\"]")]);
    assert!(shown.contains("kafka://user:***@host"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn escape_sequences_in_a_file_do_not_reach_the_terminal() {
    let shown = rendered("prefix: 5 # \u{7f}\u{9b}31m\nqueue: \"kafka:\\e[31m\"\n", &[]);
    assert!(!shown.contains(['\u{7f}', '\u{9b}', '\u{1b}']), "{shown:?}");
}

#[test]
fn colour_only_adds_escape_sequences() {
    let error = load("prefix: 5\n", &[]).unwrap_err();
    let coloured = error.render(Colour::On);
    assert!(coloured.contains("\u{1b}[1;31merror"), "{coloured:?}");
    let mut plain = String::new();
    for (index, piece) in coloured.split('\u{1b}').enumerate() {
        plain.push_str(if index == 0 {
            piece
        } else {
            piece.split_once('m').unwrap().1
        });
    }
    assert_eq!(plain, error.render(Colour::Off));
}

#[test]
fn a_bomb_of_aliases_and_a_tower_of_lists_are_refused() {
    let level = |level: i32| format!("a{level}: &a{level} [{0}, {0}, {0}, {0}]\n", format!("*a{}", level - 1));
    let bomb: Vec<String> = std::iter::once("a0: &a0 [x]\n".to_owned())
        .chain((1..30).map(level))
        .collect();
    let bomb = bomb.concat();
    assert!(faults(&bomb, &[]).contains("more than 200000 values"));
    let tower = format!("queue: {}{}\n", "[".repeat(100), "]".repeat(100));
    assert!(faults(&tower, &[]).contains("nested deeper than 64 levels"));
}

proptest! {
    #[test]
    fn any_text_is_answered_and_every_finding_stands_inside_it(
        text in "(actors|queue|calls|log|signals|token|a|&a|\\*a|<<|\\$\\{|\\$\\{A\\}|\\}|[:,\\[\\]{}'\"#|>!-]|: |\n|\n  |\t|é|5|x){0,24}",
    ) {
        let Err(error) = load(&text, &[("A", "1")]) else { return Ok(()) };
        prop_assert!(!error.findings().is_empty());
        for finding in error.findings() {
            let (Some(line), Some(column)) = (finding.line, finding.column) else { continue };
            let found = text.split('\n').nth(line - 1);
            prop_assert!(found.is_some_and(|found| column <= found.chars().count() + 1), "{finding} in {text:?}");
        }
        prop_assert!(!error.render(Colour::Off).is_empty());
    }
}
