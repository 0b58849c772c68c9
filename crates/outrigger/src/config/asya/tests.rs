use std::{collections::BTreeMap, fs};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::config::{Root, chosen_actor, load};

/// What an environment comes to, beside this file: every setting that is not the default, one a line, then every
/// warning; or everything that is wrong.
fn with_file(text: &str, pairs: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("outrigger.yaml");
    fs::write(&file, text).unwrap();
    let environment: BTreeMap<String, String> = pairs
        .iter()
        .map(|(name, value)| {
            (
                (*name).to_owned(),
                value.replace("FOLDER", &folder.path().display().to_string()),
            )
        })
        .collect();
    let lines: Vec<String> = match load(Some(&file), &environment) {
        Ok(loaded) => {
            let mut lines = Vec::new();
            let plain = serde_json::to_value(Root::default()).unwrap();
            differences("", &serde_json::to_value(&loaded.value).unwrap(), &plain, &mut lines);
            if let Some(actor) = chosen_actor(&environment, &loaded.value) {
                lines.push(format!("run serves {actor}"));
            }
            lines.extend(loaded.warnings.findings().iter().map(ToString::to_string));
            lines
        }
        Err(error) => error.findings().iter().map(ToString::to_string).collect(),
    };
    lines.join("\n").replace(&folder.path().display().to_string(), "FOLDER")
}

fn resolved(pairs: &[(&str, &str)]) -> String {
    with_file("", pairs)
}

/// The same with the least that makes a pod, of which the usual lines are left out.
fn pod_with(pairs: &[(&str, &str)]) -> String {
    let least = ("ASYA_ACTOR_NAME", "clean");
    let usual = resolved(&[least]);
    let all = resolved(&[&[least], pairs].concat());
    let news: Vec<&str> = all
        .lines()
        .filter(|line| !usual.lines().any(|other| other == *line))
        .collect();
    news.join("\n")
}

fn differences(path: &str, value: &Value, plain: &Value, lines: &mut Vec<String>) {
    match (value, plain) {
        (Value::Object(members), _) => {
            let defaults = match path.split('.').collect::<Vec<_>>().as_slice() {
                ["actors", _] => json!({
                    "input": "payload", "reply": "auto", "replicas": 1, "concurrency": 1, "timeout": "5m",
                    "max_deliveries": 5, "max_frame": "256MiB",
                }),
                _ => plain.clone(),
            };
            for (name, value) in members {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                differences(&path, value, defaults.get(name).unwrap_or(&Value::Null), lines);
            }
        }
        _ if value == plain => {}
        (Value::String(text), _) => lines.push(format!("{path} = {text}")),
        _ => lines.push(format!("{path} = {value}")),
    }
}

#[test]
fn an_actors_name_alone_is_a_pod() {
    assert_snapshot!(resolved(&[("ASYA_ACTOR_NAME", "clean")]), @"
    actors.clean.handler.dialect = asya-2
    actors.clean.handler.socket = /var/run/asya/asya-runtime.sock
    queue = amqp://guest:guest@localhost:5672/
    rabbitmq.exchange = asya
    rabbitmq.queues = use
    run serves clean
    ");
}

#[test]
fn a_queues_name_alone_is_a_pod_of_the_oldest_kind() {
    assert_snapshot!(resolved(&[("ASYA_QUEUE_NAME", "my-actor-queue")]), @"
    actors.my-actor-queue.handler.dialect = plain
    actors.my-actor-queue.handler.socket = /tmp/sockets/app.sock
    queue = amqp://guest:guest@localhost:5672/
    rabbitmq.exchange = asya
    rabbitmq.queues = use
    run serves my-actor-queue
    ");
}

#[test]
fn a_queue_may_be_called_otherwise_than_its_actor() {
    assert_snapshot!(resolved(&[("ASYA_QUEUE_NAME", "work.clean"), ("ASYA_ACTOR_NAME", "clean")]), @"
    actors.clean.handler.dialect = plain
    actors.clean.handler.socket = /tmp/sockets/app.sock
    actors.clean.queue = work.clean
    queue = amqp://guest:guest@localhost:5672/
    rabbitmq.exchange = asya
    rabbitmq.queues = use
    run serves clean
    ");
    assert_snapshot!(resolved(&[("ASYA_QUEUE_NAME", "asya-clean"), ("OUTRIGGER__PREFIX", "asya-")]), @"
    actors.clean.handler.dialect = plain
    actors.clean.handler.socket = /tmp/sockets/app.sock
    prefix = asya-
    queue = amqp://guest:guest@localhost:5672/
    rabbitmq.exchange = asya
    rabbitmq.queues = use
    run serves clean
    ");
    assert_snapshot!(resolved(&[("ASYA_QUEUE_NAME", "work.clean")]), @"ASYA_QUEUE_NAME: error: `work.clean` is no name for an actor; name it in ASYA_ACTOR_NAME with letters, digits, `_` and `-`, at most 63, a letter or digit first");
}

#[test]
fn a_transport_alone_names_no_actor_and_only_rabbitmq_is_there() {
    assert_snapshot!(resolved(&[("ASYA_TRANSPORT", "rabbitmq")]), @"ASYA_TRANSPORT: error: no actor is named; name the actor in ASYA_ACTOR_NAME");
    assert_snapshot!(pod_with(&[("ASYA_TRANSPORT", "rabbitmq")]), @"");
    assert_snapshot!(pod_with(&[("ASYA_TRANSPORT", "sqs")]), @"ASYA_TRANSPORT: error: this build has no transport `sqs`; it has `rabbitmq`: set that, or name another queue in OUTRIGGER_QUEUE");
    assert_snapshot!(pod_with(&[("ASYA_TRANSPORT", "pubsub"), ("OUTRIGGER_QUEUE", "sqlite:q.db")]), @"queue = sqlite:q.db");
}

#[test]
fn the_runtimes_socket_is_a_path_or_a_folder() {
    assert_snapshot!(pod_with(&[("ASYA_SOCKET_PATH", "/tmp/s.sock"), ("ASYA_SOCKET_DIR", "/tmp")]), @"actors.clean.handler.socket = /tmp/s.sock");
    assert_snapshot!(pod_with(&[("ASYA_SOCKET_DIR", "/tmp/sockets/")]), @"actors.clean.handler.socket = /tmp/sockets/asya-runtime.sock");
    assert_snapshot!(pod_with(&[("ASYA_SOCKET_DIR", "/tmp/sockets"), ("ASYA_SOCKET_NAME", "x.sock")]), @"actors.clean.handler.socket = /tmp/sockets/x.sock");
    assert_snapshot!(pod_with(&[("ASYA_SOCKET_NAME", "x.sock"), ("ASYA_QUEUE_NAME", "clean")]), @"
    actors.clean.handler.dialect = plain
    actors.clean.handler.socket = /var/run/asya/x.sock
    ");
}

#[test]
fn the_dialect_may_be_chosen_and_so_may_the_socket_by_our_own_names() {
    assert_snapshot!(pod_with(&[("OUTRIGGER_DIALECT", "asya-3")]), @"actors.clean.handler.dialect = asya-3");
    assert_snapshot!(pod_with(&[("OUTRIGGER_SOCKET", "/s"), ("OUTRIGGER_TIMEOUT", "7")]), @"
    actors.clean.handler.socket = /s
    actors.clean.timeout = 7s
    ");
    assert_snapshot!(pod_with(&[("OUTRIGGER_ACTOR", "other")]), @"
    actors.other.handler.dialect = asya-2
    actors.other.handler.socket = /var/run/asya/asya-runtime.sock
    run serves other
    ");
    assert_snapshot!(pod_with(&[("OUTRIGGER_DIALECT", "asya-4")]), @"OUTRIGGER_DIALECT: error: `dialect` cannot be `asya-4`; did you mean `asya-3`? use `socket`, `plain`, `asya-1`, `asya-2` or `asya-3`");
}

#[test]
fn a_timeout_is_written_as_that_sidecar_wrote_it() {
    assert_snapshot!(pod_with(&[("ASYA_RUNTIME_TIMEOUT", "1m30s")]), @"actors.clean.timeout = 1m30s");
    assert_snapshot!(pod_with(&[("ASYA_RUNTIME_TIMEOUT", "soon")]), @"ASYA_RUNTIME_TIMEOUT: error: `timeout`: `soon` is not a duration: expected a number at `soon`; for example `30s` or `5m`");
}

#[test]
fn the_broker_is_a_url_or_its_parts() {
    assert_snapshot!(pod_with(&[("ASYA_RABBITMQ_URL", "amqp://u:p@rabbit:5672/v"), ("ASYA_RABBITMQ_HOST", "x")]), @"queue = amqp://u:p@rabbit:5672/v");
    assert_snapshot!(pod_with(&[("ASYA_RABBITMQ_HOST", "rabbit")]), @"queue = amqp://guest:guest@rabbit:5672/");
    assert_snapshot!(pod_with(&[
        ("ASYA_RABBITMQ_HOST", "::1"),
        ("ASYA_RABBITMQ_PORT", "5673"),
        ("ASYA_RABBITMQ_USERNAME", "me@home"),
        ("ASYA_RABBITMQ_PASSWORD", "p/:\u{e4}%"),
    ]), @"queue = amqp://me%40home:p%2F%3A%C3%A4%25@[::1]:5673/");
    assert_snapshot!(pod_with(&[("ASYA_RABBITMQ_PORT", "tcp://10.0.0.1:5672")]), @"");
    assert_snapshot!(pod_with(&[("ASYA_RABBITMQ_PORT", "many")]), @"ASYA_RABBITMQ_PORT: error: `many` is no port; write a number, as in 5672");
    assert_snapshot!(pod_with(&[("ASYA_RABBITMQ_URL", "amqp://a"), ("OUTRIGGER_QUEUE", "memory:")]), @"queue = memory:");
}

#[test]
fn secrets_may_stand_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (url, password) = (file("url", "amqps://u:p@h/\n"), file("password", "s3:cret\r\n"));
    assert_snapshot!(pod_with(&[("ASYA_RABBITMQ_URL_FILE", &url)]), @"queue = amqps://u:p@h/");
    assert_snapshot!(pod_with(&[("ASYA_RABBITMQ_PASSWORD_FILE", &password), ("ASYA_RABBITMQ_USERNAME", "u")]), @"queue = amqp://u:s3%3Acret@localhost:5672/");
    assert_snapshot!(pod_with(&[("ASYA_RABBITMQ_PASSWORD_FILE", "/no/such/file")]), @"ASYA_RABBITMQ_PASSWORD_FILE: error: cannot read /no/such/file: No such file or directory (os error 2); name a readable text file that holds the value");
    assert_snapshot!(pod_with(&[("ASYA_RABBITMQ_PASSWORD_FILE", "/x"), ("ASYA_RABBITMQ_PASSWORD", "y")]), @"ASYA_RABBITMQ_PASSWORD_FILE: error: both ASYA_RABBITMQ_PASSWORD and ASYA_RABBITMQ_PASSWORD_FILE are set; keep one of them");
}

#[test]
fn the_exchange_and_the_prefetch_are_read() {
    assert_snapshot!(pod_with(&[("ASYA_RABBITMQ_EXCHANGE", "work"), ("ASYA_RABBITMQ_PREFETCH", "7")]), @"
    rabbitmq.exchange = work
    rabbitmq.prefetch = 7
    ");
    assert_snapshot!(pod_with(&[("ASYA_RABBITMQ_PREFETCH", "0")]), @"ASYA_RABBITMQ_PREFETCH: error: `prefetch` has to be at least 1, and this is `0`");
}

#[test]
fn ends_have_an_older_and_a_newer_name_and_an_actor_can_be_one() {
    assert_snapshot!(pod_with(&[("ASYA_STEP_HAPPY_END", "good"), ("ASYA_STEP_ERROR_END", "bad")]), @"
    ends.error.name = bad
    ends.happy.name = good
    ");
    assert_snapshot!(pod_with(&[
        ("ASYA_STEP_HAPPY_END", "old"),
        ("ASYA_ACTOR_HAPPY_END", "good"),
        ("ASYA_ACTOR_ERROR_END", "bad"),
    ]), @"
    ends.error.name = bad
    ends.happy.name = good
    ");
    assert_snapshot!(pod_with(&[("ASYA_IS_END_ACTOR", "true")]), @"ends.happy.name = clean");
    assert_snapshot!(pod_with(&[("ASYA_IS_END_ACTOR", "1"), ("ASYA_ACTOR_ERROR_END", "clean")]), @"ends.error.name = clean");
    assert_snapshot!(pod_with(&[("ASYA_IS_END_ACTOR", "no")]), @"");
    assert_snapshot!(pod_with(&[("ASYA_IS_END_ACTOR", "maybe")]), @"ASYA_IS_END_ACTOR: error: `maybe` is neither true nor false; write `true` or `false`");
}

#[test]
fn log_level_metrics_and_gateway_are_read() {
    for (text, level) in [
        ("DEBUG", "debug"),
        ("Warning", "warn"),
        ("error", "error"),
        ("CRITICAL", "error"),
    ] {
        assert_eq!(pod_with(&[("ASYA_LOG_LEVEL", text)]), format!("log.level = {level}"));
    }
    assert_snapshot!(pod_with(&[("ASYA_LOG_LEVEL", "LOUD")]), @"ASYA_LOG_LEVEL: error: `LOUD` is no level; write DEBUG, INFO, WARNING or ERROR");
    assert_snapshot!(pod_with(&[("ASYA_METRICS_ADDR", ":8080")]), @"admin.listen = 0.0.0.0:8080");
    assert_snapshot!(pod_with(&[("ASYA_METRICS_ADDR", "127.0.0.1:9")]), @"admin.listen = 127.0.0.1:9");
    assert_snapshot!(pod_with(&[("ASYA_GATEWAY_URL", "http://gateway:8080")]), @"ASYA_GATEWAY_URL: warning: ASYA_GATEWAY_URL is taken, and no progress is reported to a gateway yet; leave it where it is: nothing else depends on it");
}

#[test]
fn every_variable_that_is_not_read_is_one_warning() {
    assert_snapshot!(pod_with(&[
        ("ASYA_NAMESPACE", "prod"),
        ("ASYA_FOO", "x"),
        ("ASYA_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("ASYA_GATEWAY_PORT_8080_TCP", "x"),
        ("ASYA_RESILIENCY_ACTOR_TIMEOUT", "1m"),
    ]), @"
    ASYA_FOO: warning: ASYA_FOO is not read here; take it out where nobody else reads it
    ASYA_NAMESPACE: warning: ASYA_NAMESPACE is not read here; where queues are called `asya-NAMESPACE-ACTOR`, set OUTRIGGER__PREFIX to `asya-NAMESPACE-`
    ASYA_RESILIENCY_ACTOR_TIMEOUT: warning: ASYA_RESILIENCY_ACTOR_TIMEOUT is not read here; set OUTRIGGER_TIMEOUT
    ");
}

#[test]
fn without_one_of_the_three_names_nothing_of_asya_is_read() {
    let others = [
        ("ASYA_LOG_LEVEL", "DEBUG"),
        ("ASYA_RABBITMQ_URL", "amqp://h"),
        ("ASYA_FOO", "x"),
        ("ASYA_QUEUE_NAME", ""),
    ];
    assert_eq!(resolved(&others), "");
    let inside = [("ASYA_ACTOR_NAME", "clean"), ("OUTRIGGER_HANDLER_SOCKET", "s")];
    assert_eq!(resolved(&inside), "", "a command inside a handler is no pod");
}

#[test]
fn a_file_gives_way_to_what_the_environment_says_and_not_to_what_it_brings_about() {
    let file = "queue: sqlite:q.db\nrabbitmq: { exchange: mine }\nactors:\n  clean: { handler: { http: \"http://h\" }, timeout: 1s }\n  other: { handler: { socket: s } }\n";
    assert_snapshot!(with_file(file, &[("ASYA_ACTOR_NAME", "clean"), ("ASYA_RUNTIME_TIMEOUT", "2s")]), @"
    actors.clean.handler.http = http://h
    actors.clean.timeout = 2s
    actors.other.handler.socket = s
    queue = sqlite:q.db
    rabbitmq.exchange = mine
    rabbitmq.queues = use
    run serves clean
    ");
    assert_snapshot!(with_file(file, &[("ASYA_ACTOR_NAME", "clean"), ("ASYA_SOCKET_DIR", "/d"), ("ASYA_RABBITMQ_HOST", "r")]), @"
    actors.clean.handler.dialect = asya-2
    actors.clean.handler.socket = /d/asya-runtime.sock
    actors.clean.timeout = 1s
    actors.other.handler.socket = s
    queue = amqp://guest:guest@r:5672/
    rabbitmq.exchange = mine
    rabbitmq.queues = use
    run serves clean
    ");
}
