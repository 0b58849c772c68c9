//! The loader from outside: what a file and an environment become.

mod config_model;

use std::fs;

use chassis::config::{self, ByteSize, Duration, Overlay, Path, Sources};
use config_model::{
    Backend, Breaker, BreakerRules, Dialect, Handler, OneOrMany, QueueType, Root, RunHandler, Signals, SocketHandler,
    load, sources,
};

const WHOLE: &str = r#"
queue: "sqlite:${DIR:-.outrigger}/queue.db"
prefix: "${STAGE}"
queue_type: classic
actors:
  clean: &actor
    handler: { run: "python3 clean.py" }
    replicas: ${REPLICAS}
    timeout: 1m30s
    max_body: 10MiB
  classify:
    <<: *actor
    handler: { socket: /run/app.sock, dialect: asya-2 }
    timeout: 2.5
calls:
  listen: [ "http://127.0.0.1:8080", "ipc:///tmp/x.sock" ]
  breaker: { failures: 5 }
signals:
backends:
  files: { type: file, path: "$${literal}" }
token: s3cret
"#;

#[test]
fn a_whole_file_becomes_the_value_that_it_says() {
    let loaded = load(WHOLE, &[("STAGE", "12"), ("REPLICAS", "4")]).unwrap();
    let root = &loaded.value;
    assert_eq!(root.queue, "sqlite:.outrigger/queue.db");
    assert_eq!(root.prefix.as_deref(), Some("12"));
    assert_eq!(root.queue_type, QueueType::Classic);
    let clean = &root.actors["clean"];
    assert_eq!(
        clean.handler,
        Handler::Run(RunHandler {
            run: "python3 clean.py".into()
        })
    );
    assert_eq!(clean.replicas.get(), 4);
    assert_eq!(clean.timeout, Duration::from_secs(90));
    assert_eq!(clean.max_body, ByteSize::mib(10));
    let classify = &root.actors["classify"];
    let socket = SocketHandler {
        socket: "/run/app.sock".into(),
        dialect: Dialect::Asya2,
    };
    assert_eq!(classify.handler, Handler::Socket(socket));
    assert_eq!(classify.replicas.get(), 4);
    assert_eq!(classify.timeout, Duration::from_millis(2500));
    let calls = root.calls.as_ref().unwrap();
    assert_eq!(
        calls.listen,
        OneOrMany::Many(vec!["http://127.0.0.1:8080".into(), "ipc:///tmp/x.sock".into()])
    );
    assert_eq!(calls.breaker, Breaker::On(BreakerRules { failures: 5 }));
    assert_eq!(
        root.backends["files"],
        Backend::File {
            path: "${literal}".into()
        }
    );
    assert_eq!(root.token.expose(), "s3cret");
    assert!(loaded.warnings.is_empty());
}

#[test]
fn an_empty_section_is_on_and_a_missing_or_null_one_is_off() {
    assert_eq!(load("signals:\n", &[]).unwrap().value.signals, Some(Signals::default()));
    assert_eq!(
        load("signals: {}\n", &[]).unwrap().value.signals,
        Some(Signals::default())
    );
    assert_eq!(load("signals: ~\n", &[]).unwrap().value.signals, None);
    assert_eq!(load("queue: sqlite:x\n", &[]).unwrap().value.signals, None);
    // A value that is not optional is left to its default by an explicit null.
    assert_eq!(
        load("queue_type: null\nlog: null\n", &[]).unwrap().value.queue_type,
        QueueType::Quorum
    );
    assert_eq!(load("", &[]).unwrap().value.actors.len(), 0);
}

#[test]
fn the_long_form_finds_keys_whatever_their_case_and_dashes() {
    let text = "actors:\n  deep-Clean:\n    handler: {run: x}\n";
    let root = load(
        text,
        &[
            ("OUTRIGGER__ACTORS__DEEP_CLEAN__TIMEOUT", "7s"),
            ("OUTRIGGER__ACTORS__DEEP_CLEAN__HANDLER__RUN", "y"),
            ("OUTRIGGER__ACTORS__Other__HANDLER", r#"{"socket": "/s"}"#),
            ("OUTRIGGER__CALLS__LISTEN", r#"["a", "b"]"#),
            ("OUTRIGGER__CALLS__LISTEN__1", "c"),
            ("OUTRIGGER__SIGNALS__PORT", "9"),
            ("OUTRIGGER__SIGNALS__KEEPALIVE", "false"),
            ("OUTRIGGER__QUEUE_TYPE", "classic"),
        ],
    )
    .unwrap()
    .value;
    assert_eq!(root.actors["deep-Clean"].timeout, Duration::from_secs(7));
    assert_eq!(
        root.actors["deep-Clean"].handler,
        Handler::Run(RunHandler { run: "y".into() })
    );
    assert!(matches!(&root.actors["other"].handler, Handler::Socket(socket) if socket.socket == "/s"));
    assert_eq!(
        root.calls.unwrap().listen,
        OneOrMany::Many(vec!["a".into(), "c".into()])
    );
    assert_eq!(
        root.signals,
        Some(Signals {
            port: 9,
            keepalive: false
        })
    );
    assert_eq!(root.queue_type, QueueType::Classic);
}

#[test]
fn a_string_from_the_environment_needs_no_quotes() {
    let environment = [
        ("OUTRIGGER__PREFIX", "0123"),
        ("OUTRIGGER__TOKEN", "{not json"),
        ("OUTRIGGER__LOG__LEVEL", "true"),
        ("N", "1e3"),
    ];
    let root = load("queue: ${NONE:-}\ncalls: {listen: \"${N}\"}\n", &environment)
        .unwrap()
        .value;
    assert_eq!(root.prefix.as_deref(), Some("0123"));
    assert_eq!(root.token.expose(), "{not json");
    assert_eq!(root.log.level.as_deref(), Some("true"));
    assert_eq!(root.queue, "");
    assert_eq!(root.calls.unwrap().listen, OneOrMany::One("1e3".into()));
}

#[test]
fn a_value_of_the_environment_is_not_looked_into_for_variables() {
    let root = load(
        "queue: \"${Q}\"\n",
        &[("Q", "sqlite:${HOME}"), ("OUTRIGGER__TOKEN", "$$a${HOME}")],
    )
    .unwrap()
    .value;
    assert_eq!(root.queue, "sqlite:${HOME}");
    assert_eq!(root.token.expose(), "$$a${HOME}");
}

#[test]
fn a_variable_that_a_replaced_value_lacks_is_not_missed() {
    let root = load("queue: ${GONE}\n", &[("OUTRIGGER__QUEUE", "sqlite:x")])
        .unwrap()
        .value;
    assert_eq!(root.queue, "sqlite:x");
}

#[test]
fn a_secret_is_read_from_a_file_without_its_last_line_break() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "line one\nline two\r\n").unwrap();
    let mut sources = sources(
        "",
        &[
            ("OUTRIGGER__TOKEN_FILE", "token"),
            ("OUTRIGGER__LOG__CA_FILE", "/etc/ca.pem"),
        ],
    );
    sources.folder = folder.path().to_path_buf();
    let root = config::load::<Root>(&sources).unwrap().value;
    assert_eq!(root.token.expose(), "line one\nline two");
    // A key that is itself called so is no order to read a file.
    assert_eq!(root.log.ca_file.as_deref(), Some("/etc/ca.pem"));
}

#[test]
fn short_forms_yield_to_long_forms_and_stand_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("queue"), "amqp://from-file\n").unwrap();
    let text = "queue: sqlite:x\nactors: {clean: {handler: {run: x}}}\n";
    let environment = [
        ("OUTRIGGER_QUEUE_FILE", "queue"),
        ("OUTRIGGER_TIMEOUT", "3s"),
        ("OUTRIGGER_CONCURRENCY", "2"),
        ("OUTRIGGER__ACTORS__CLEAN__REPLICAS", "5"),
    ];
    let mut sources = sources(text, &environment)
        .with_overlay(Overlay::new("OUTRIGGER_QUEUE", "queue"))
        .with_overlay(Overlay::new("OUTRIGGER_TIMEOUT", ["actors", "clean", "timeout"]))
        .with_overlay(Overlay::new("OUTRIGGER_CONCURRENCY", "actors.clean.replicas"))
        .with_overlay(Overlay::fixed("HOST", Path::root().key("log").key("level"), "host-1"));
    sources.folder = folder.path().to_path_buf();
    let loaded = config::load::<Root>(&sources).unwrap();
    assert_eq!(loaded.value.queue, "amqp://from-file");
    assert_eq!(loaded.value.actors["clean"].timeout, Duration::from_secs(3));
    assert_eq!(loaded.value.actors["clean"].replicas.get(), 5);
    assert_eq!(loaded.value.log.level.as_deref(), Some("host-1"));
    assert!(loaded.warnings.is_empty());
}

#[test]
fn the_file_is_the_argument_then_a_variable_then_the_one_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["outrigger", "argument", "ours", "common"] {
        fs::create_dir_all(folder.path().join("sub")).unwrap();
        let file = if name == "argument" {
            "sub/argument.yaml".to_owned()
        } else {
            format!("{name}.yaml")
        };
        fs::write(folder.path().join(file), format!("prefix: {name}\n")).unwrap();
    }
    let run = |file: Option<&str>, variables: &[(&str, &str)]| {
        let environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut sources = Sources::new(environment);
        sources.folder = folder.path().to_path_buf();
        sources.file = file.map(Into::into);
        let loaded = config::load::<Root>(&sources).unwrap();
        (loaded.value.prefix.unwrap_or_default(), loaded.folder)
    };
    let common = ("CONFIG_FILE", "common.yaml");
    let ours = ("OUTRIGGER_CONFIG", "ours.yaml");
    assert_eq!(run(None, &[]), ("outrigger".into(), folder.path().to_path_buf()));
    assert_eq!(run(None, &[common]).0, "common");
    assert_eq!(run(None, &[common, ours]).0, "ours");
    let argument = run(Some("sub/argument.yaml"), &[common, ours]);
    assert_eq!(argument, ("argument".into(), folder.path().join("sub")));
}

#[test]
fn only_the_implicit_file_may_be_absent() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = Sources::default().with_folder(folder.path());
    let loaded = config::load::<Root>(&sources).unwrap();
    assert_eq!(loaded.file, None);
    assert_eq!(loaded.folder, folder.path());
    sources
        .environment
        .insert("OUTRIGGER_CONFIG".into(), "gone.yaml".into());
    let error = config::load::<Root>(&sources).unwrap_err();
    assert_eq!(error.findings()[0].variable.as_deref(), Some("OUTRIGGER_CONFIG"));
    assert!(error.to_string().contains("cannot read gone.yaml"), "{error}");
    let error = config::load::<Root>(&sources.with_file("other.yaml")).unwrap_err();
    assert!(error.to_string().contains("cannot read other.yaml"), "{error}");
}

#[test]
fn a_later_check_of_the_world_gets_its_lines_too() {
    let loaded = load("actors:\n  clean:\n    handler: {socket: /gone.sock}\n", &[]).unwrap();
    let mut findings = config::Findings::default();
    findings.error(
        "actors.clean.handler.socket",
        "no socket stands there",
        "start the handler first",
    );
    let report = loaded.report(findings);
    assert_eq!(
        report.findings()[0].to_string(),
        "outrigger.yaml:3:23: error: no socket stands there; start the handler first"
    );
}

#[test]
fn the_rules_of_a_section_are_checked_in_the_same_round_as_the_schema() {
    let text = "
actors:
  one:
    handler: { run: x }
    timout: 1s
  two:
    handler: { run: x }
    timeout: 0
  three:
    handler: { run: x }
    timeout: soon
";
    let error = load(text, &[]).unwrap_err();
    let paths: Vec<_> = error
        .findings()
        .iter()
        .map(|finding| finding.path.to_string())
        .collect();
    assert_eq!(
        paths,
        ["actors.one.timout", "actors.two.timeout", "actors.three.timeout"]
    );
}
