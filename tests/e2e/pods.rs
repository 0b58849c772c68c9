//! Pods that ran Asya's own sidecar: their environment stays as it is.

use std::fs;

use crate::harness::{Answer, Field, Foreign, Plain, Value, json, wait_until};

#[test]
fn a_pod_keeps_its_environment_and_only_its_image_is_another() {
    let field = Field::new("");
    fs::remove_file(field.path("outrigger.yaml")).expect("it was there");
    let _runtime = Foreign::asya(&field, "2", "asya-runtime.sock", &[]);
    let folder = field.path("").display().to_string();
    let environment = [
        ("ASYA_ACTOR_NAME", "clean"),
        ("ASYA_QUEUE_NAME", ""),
        ("ASYA_SOCKET_DIR", folder.as_str()),
        ("ASYA_RUNTIME_TIMEOUT", "30s"),
        ("ASYA_ACTOR_HAPPY_END", "done"),
        ("ASYA_ACTOR_ERROR_END", "failed"),
        ("ASYA_LOG_LEVEL", "DEBUG"),
        ("ASYA_METRICS_ADDR", "127.0.0.1:0"),
        ("ASYA_HANDLER", "app.process"),
        ("OUTRIGGER_QUEUE", "sqlite:q.db"),
    ];
    let run = field.start(&["run"], &environment);
    run.ready();
    assert_eq!(
        run.said().matches("ASYA_HANDLER is not read here").count(),
        1,
        "{}",
        run.said()
    );
    let ok = |words: &[&str]| {
        let output = field.command(words).envs(environment).output().expect("it runs");
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    };
    ok(&["send", "clean", "--id", "m", "--payload", "{\"x\": 1}"]);
    ok(&["send", "clean", "--id", "f", "--payload", "{\"do\": \"fail\"}"]);
    let done: Value = serde_json::from_str(&ok(&["take", "done", "--wait", "20s"])).expect("JSON");
    assert_eq!((&done["id"], &done["payload"]), (&json!("m"), &json!({"x": 1})));
    let failed: Value = serde_json::from_str(&ok(&["take", "failed", "--wait", "20s"])).expect("JSON");
    assert_eq!(failed["error"]["code"], "processing_error");
    assert!(run.stop().success());
}

#[test]
fn the_oldest_pods_have_a_queue_of_another_name_and_a_plain_runtime() {
    let field = Field::new("");
    fs::remove_file(field.path("outrigger.yaml")).expect("it was there");
    let runtime = Plain::at(&field.path("app.sock"), |_| {
        Answer::text(r#"{"status":"ok","result":{"n":1}}"#)
    });
    let socket = field.path("app.sock").display().to_string();
    let environment = [
        ("ASYA_QUEUE_NAME", "work.clean"),
        ("ASYA_ACTOR_NAME", "clean"),
        ("ASYA_SOCKET_PATH", socket.as_str()),
        ("OUTRIGGER_QUEUE", "sqlite:q.db"),
        ("OUTRIGGER__ADMIN__LISTEN", "127.0.0.1:0"),
    ];
    let run = field.start(&["run"], &environment);
    run.ready();
    field.write(
        "envelopes.jsonl",
        "{\"id\":\"m\",\"route\":{\"actors\":[\"clean\",\"clean\"],\"current\":0},\"payload\":7}\n",
    );
    let ok = |words: &[&str]| {
        let output = field.command(words).envs(environment).output().expect("it runs");
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    };
    ok(&["send", "clean", "--envelopes", "envelopes.jsonl"]);
    let done: Value = serde_json::from_str(&ok(&["take", "happy-end", "--wait", "20s"])).expect("JSON");
    assert_eq!(
        (&done["payload"], &done["route"]["current"]),
        (&json!({"n": 1}), &json!(2))
    );
    assert_eq!(
        runtime.requests(),
        ["7", r#"{"n":1}"#],
        "the payload alone, and the same queue again"
    );
    assert!(ok(&["queues"]).contains("work.clean"));
    assert!(run.stop().success());
}

#[test]
fn an_actor_that_is_an_end_says_so_in_the_environment() {
    let field = Field::new("");
    fs::remove_file(field.path("outrigger.yaml")).expect("it was there");
    let _runtime = Foreign::asya(&field, "2", "asya-runtime.sock", &[("END_ACTOR", "1")]);
    let folder = field.path("").display().to_string();
    let environment = [
        ("ASYA_ACTOR_NAME", "x-sink"),
        ("ASYA_IS_END_ACTOR", "true"),
        ("ASYA_SOCKET_DIR", folder.as_str()),
        ("OUTRIGGER_QUEUE", "sqlite:.outrigger/queue.db"),
        ("OUTRIGGER__ADMIN__LISTEN", "127.0.0.1:0"),
    ];
    let run = field.start(&["run"], &environment);
    run.ready();
    field.put_bytes(
        "x-sink",
        br#"{"id":"m","route":{"actors":["other"],"current":1},"payload":1}"#,
    );
    wait_until("it is told", || (Foreign::told(&field).len() == 1).then_some(()));
    wait_until("the queues are empty", || {
        let depth = |queue| field.depth(queue) + field.in_flight(queue);
        (depth("x-sink") + depth("error-end") == 0).then_some(())
    });
    assert!(run.stop().success());
}

#[test]
fn check_says_what_a_pods_environment_comes_to_and_what_is_wrong_with_it() {
    let field = Field::new("");
    fs::remove_file(field.path("outrigger.yaml")).expect("it was there");
    let check = |environment: &[(&str, &str)]| {
        let output = field
            .command(&["check"])
            .envs(environment.iter().copied())
            .output()
            .expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, said, warned) = check(&[
        ("ASYA_ACTOR_NAME", "clean"),
        ("ASYA_TRANSPORT", "rabbitmq"),
        ("ASYA_RABBITMQ_HOST", "rabbit"),
        ("ASYA_RABBITMQ_PASSWORD", "s3cret/1"),
        ("ASYA_GATEWAY_URL", "http://gateway"),
        ("ASYA_NAMESPACE", "prod"),
    ]);
    assert_eq!(code, Some(0), "{warned}");
    assert!(
        said.contains("clean") && said.contains("amqp://guest:***@rabbit:5672/"),
        "{said}"
    );
    assert!(!said.contains("s3cret") && !warned.contains("s3cret"), "{said}{warned}");
    for part in ["ASYA_GATEWAY_URL", "asya-NAMESPACE-"] {
        assert!(warned.contains(part), "{part}: {warned}");
    }
    let (code, _, wrong) = check(&[
        ("ASYA_ACTOR_NAME", "clean"),
        ("ASYA_TRANSPORT", "sqs"),
        ("ASYA_LOG_LEVEL", "LOUD"),
        ("ASYA_IS_END_ACTOR", "maybe"),
        ("ASYA_RUNTIME_TIMEOUT", "soon"),
    ]);
    assert_eq!(code, Some(78), "{wrong}");
    for part in ["no transport `sqs`", "rabbitmq", "LOUD", "maybe", "soon"] {
        assert!(wrong.contains(part), "{part}: {wrong}");
    }
}
