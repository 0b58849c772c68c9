//! `up` and `run` as programs: what they serve, where they can be watched, how they refuse.

use crate::harness::{Field, HANDLERS, Plain, Value, interpreter, json, untraced};

#[test]
fn run_needs_the_environment_alone() {
    let field = Field::new("");
    std::fs::remove_file(field.path("outrigger.yaml")).expect("it was there");
    let handler = Plain::echo(&field.path("app.sock"));
    let environment = [
        ("OUTRIGGER_QUEUE", "sqlite:q.db"),
        ("OUTRIGGER_ACTOR", "clean"),
        ("OUTRIGGER_SOCKET", "app.sock"),
        ("OUTRIGGER_CONCURRENCY", "2"),
        ("OUTRIGGER__ADMIN__LISTEN", "127.0.0.1:0"),
    ];
    let run = field.start(&["run"], &environment);
    run.ready();
    let mut send = field.command(&["send", "clean", "--id", "m", "--payload", "{\"x\": 1}"]);
    assert!(send.envs(environment).status().expect("it runs").success());
    handler.wait_for(1);
    let mut take = field.command(&["take", "happy-end", "--wait", "20s"]);
    let output = take.envs(environment).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(
        untraced(&text),
        "{\"id\":\"m\",\"route\":{\"actors\":[\"clean\"],\"current\":1},\"payload\":{\"x\": 1}}\n"
    );
    assert!(run.stop().success());
}

#[test]
fn run_serves_the_actor_that_the_environment_names_alone() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } }, b: { handler: { socket: b.sock } } }");
    let handlers = [Plain::echo(&field.path("a.sock")), Plain::echo(&field.path("b.sock"))];
    field.load(&["a"], 1);
    field.load(&["b"], 1);
    let run = field.start(&["run"], &[("OUTRIGGER_ACTOR", "b")]);
    run.ready();
    field.wait_for("happy-end", 1);
    assert_eq!(handlers.each_ref().map(|handler| handler.requests().len()), [0, 1]);
    assert_eq!(field.depth("a"), 1);
    assert!(run.stop().success());
}

#[test]
fn run_starts_no_handler_and_refuses_where_nothing_is_left() {
    let field = Field::new("actors: { a: { handler: { run: \"touch started\" } } }");
    let output = field.output(&["run"]);
    assert_eq!(
        output.status.code(),
        Some(78),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!field.path("started").exists());
}

#[test]
fn run_passes_over_a_command_with_a_warning_and_up_serves_both() {
    let python = interpreter();
    let field = Field::new(&format!(
        "actors: {{ a: {{ handler: {{ socket: a.sock }} }}, b: {{ handler: {{ run: \"{python} -m outrigger handlers.py:work\" }} }} }}"
    ));
    field.write("handlers.py", HANDLERS);
    let _handler = Plain::echo(&field.path("a.sock"));
    field.load(&["a", "b"], 3);
    let run = field.run();
    field.wait_for("b", 3);
    assert!(
        run.lines()
            .iter()
            .any(|line| line["level"] == "WARN" && line["actor"] == "b"),
        "{}",
        run.said()
    );
    assert!(run.stop().success());
    let up = field.up();
    field.wait_for("happy-end", 3);
    assert!(up.stop().success());
}

#[test]
fn a_configuration_with_mistakes_is_refused_before_anything_is_made() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, timeuot: 5s, concurrency: 0 } }");
    for command in ["up", "run"] {
        let output = field.output(&[command]);
        assert_eq!(output.status.code(), Some(78));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("timeuot") && said.contains("timeout") && said.contains("concurrency"),
            "{said}"
        );
        assert!(!field.path(".outrigger").exists(), "something was made");
    }
}

#[test]
fn the_admin_address_tells_health_queues_and_metrics() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, concurrency: 3 } }");
    let _handler = Plain::echo(&field.path("a.sock"));
    field.load(&["a"], 5);
    let run = field.run();
    field.wait_for("happy-end", 5);
    assert_eq!(run.get("/healthz").0, 200);
    assert_eq!(run.get("/nothing-here").0, 404);
    let (status, health) = run.get("/health");
    let health: Value = serde_json::from_str(&health).expect("JSON");
    assert_eq!((status, &health["status"]), (200, &json!("healthy")), "{health}");
    assert!(
        health["version"].is_string() && health["uptime"].is_number(),
        "{health}"
    );
    let (status, metrics) = run.get("/metrics");
    assert_eq!(status, 200);
    let received = metrics
        .lines()
        .find(|line| line.contains("messages_received_total") && line.contains("\"a\""));
    assert_eq!(
        received.and_then(|line| line.rsplit(' ').next()),
        Some("5"),
        "{metrics}"
    );
    assert!(
        metrics
            .lines()
            .filter(|line| !line.starts_with('#'))
            .all(|line| line.starts_with("sidecar_")),
        "{metrics}"
    );
    assert!(run.stop().success());
}
