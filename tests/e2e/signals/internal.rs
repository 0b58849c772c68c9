//! Outrigger itself as a source: what its planes do goes the way of signal lines.

use super::lines_of;
use crate::harness::{Field, HANDLERS, Value, interpreter, json, wait_until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Spans, progress and metrics of `us`, each to a file of its own, and every other source nowhere.
fn config(internal: &str) -> String {
    format!(
        "actors: {{ a: {{ handler: {{ run: \"{} -m outrigger handlers.py:speak\" }} }} }}
signals:
  tcp: {{ port: 0 }}
  buffers: {{ flush_interval: 0 }}
  {internal}
  backends: {{ out: {{ type: file, path: \"{{type}}.jsonl\" }} }}
  routing: {{ us: [{{ backend: out }}] }}
",
        interpreter()
    )
}

fn field(config: &str) -> Field {
    let field = Field::new(config);
    field.write("handlers.py", HANDLERS);
    field
}

fn put(field: &Field, id: &str) {
    let envelope = format!(
        r#"{{"id":"{id}","route":{{"actors":["a"],"current":0}},"headers":{{"job":"root","traceparent":"00-{TRACE}-00f067aa0ba902b7-01"}},"payload":1}}"#
    );
    field.put("a", &[envelope]);
}

/// The lines of one type so far.
fn of_type(field: &Field, kind: &str) -> Vec<Value> {
    let lines = lines_of(&field.path(&format!("{kind}.jsonl")));
    lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

/// How many messages were forwarded, where a metric line says that.
fn forwarded(line: &Value) -> Option<Value> {
    let data = &line["data"];
    let is_it = data["name"] == "sidecar_actor_messages_settled_total"
        && data["tags"] == json!({"actor": "a", "outcome": "forwarded"});
    is_it.then(|| data["value"].clone())
}

#[test]
fn hops_progress_and_metrics_of_messages_are_lines_of_a_source_like_any_other() {
    let field = field(&config("internal: { source: us, metrics_interval: 0.2 }"));
    put(&field, "m");
    let up = field.up();
    field.wait_for("happy-end", 1);
    let spans = wait_until("the span is in its file", || {
        let spans = of_type(&field, "span");
        (!spans.is_empty()).then_some(spans)
    });
    let [span] = &spans[..] else {
        panic!("one hop, one span: {spans:?}")
    };
    assert_eq!((&span["src"], &span["tid"]), (&json!("us"), &json!(TRACE)));
    assert_eq!(span["pid"], json!("00f067aa0ba902b7"));
    let data = &span["data"];
    assert_eq!((&data["name"], &data["status"]), (&json!("a"), &json!("ok")));
    assert_eq!(data["tags"]["messaging.message.id"], json!("m"));
    assert!(data["end"].as_f64() >= data["start"].as_f64(), "{data}");

    let progress = of_type(&field, "progress");
    let [half] = &progress[..] else {
        panic!("the handler speaks once: {progress:?}")
    };
    assert_eq!((&half["tid"], &half["sid"]), (&span["tid"], &span["sid"]));
    let wanted = json!({"job_id": "root", "percent": 40.0, "status": "almost half", "actor": "a", "message_id": "m"});
    assert_eq!(half["data"], wanted);

    wait_until("the hop is counted in a metric line", || {
        let metrics = of_type(&field, "metric");
        let line = metrics.iter().find(|line| forwarded(line) == Some(json!(1)))?;
        assert_eq!(line["data"]["temporality"], "cumulative");
        Some(())
    });
    let (status, trace) = up.get(&format!("/traces/{TRACE}"));
    assert_eq!(status, 200);
    let trace: Value = serde_json::from_str(&trace).expect("JSON");
    assert_eq!(trace["roots"][0]["name"], json!("a"));
    assert!(up.stop().success());
}

#[test]
fn nothing_is_told_unasked_and_a_reload_asks_for_it() {
    let field = field(&config(""));
    put(&field, "before");
    let up = field.up();
    field.wait_for("happy-end", 1);
    field.configure(&config("internal: { source: us, metrics_interval: 0 }"));
    assert_eq!(up.ask("POST", "/reload").0, 200);
    // The task that tells hears of it in its own time.
    let mut sent = 0;
    let ids: Vec<Value> = wait_until("a span is in its file", || {
        sent += 1;
        put(&field, &format!("after-{sent}"));
        let spans = of_type(&field, "span");
        let ids = spans
            .iter()
            .map(|span| span["data"]["tags"]["messaging.message.id"].clone());
        (!spans.is_empty()).then(|| ids.collect())
    });
    assert!(ids.iter().all(|id| id != "before"), "{ids:?}");
    assert!(up.stop().success());
    assert!(of_type(&field, "metric").is_empty());
}

#[test]
fn what_was_done_last_is_told_before_the_end() {
    let field = field(&config("internal: { source: us, metrics_interval: 1h }"));
    let up = field.up();
    for number in 0..50 {
        put(&field, &format!("m{number}"));
    }
    field.wait_for("happy-end", 50);
    assert!(up.stop().success());
    assert_eq!(of_type(&field, "span").len(), 50);
    let counted: Vec<Value> = of_type(&field, "metric").iter().filter_map(forwarded).collect();
    assert_eq!(counted, [json!(50)]);
}
