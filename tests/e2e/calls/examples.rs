//! What is delivered for a newcomer runs as it stands.

use std::path::Path;

use super::{Line, ask, post};
use crate::harness::{Field, Foreign, Sidecar, json, wait_until};

fn delivered(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/calls");
    std::fs::read_to_string(root.join(name)).expect("it is there")
}

const ORDER: &str = r#"{"items":[{"name":"tea","price":4.5,"count":2}]}"#;

#[test]
fn the_example_answers_every_row_of_the_contract() {
    let field = Field::new(&delivered("outrigger.yaml").replace(":8080\"", ":0\""));
    field.write("prices.py", delivered("prices.py"));
    let _prices = Foreign::program(&field, "prices.py", "prices.sock");
    let sidecar = field.run();
    wait_until("the process is there", || {
        (post(&sidecar, "/price-order", ORDER).status == 200).then_some(())
    });
    for (path, wanted) in [
        ("/health", "healthy"),
        ("/version", "\"contractVersion\":\"2\""),
        ("/functions", "\"supportsStreaming\":true"),
        ("/types", TYPE),
    ] {
        let reply = ask(&sidecar, "GET", path, &[], "");
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.body.contains(wanted), "{path}: {}", reply.body);
    }
    let invoke = |words: &str| post(&sidecar, "/invoke", &format!(r#"{{"function":"price_{words}}}"#)).body;
    assert_eq!(
        invoke(&format!(r#"order","args":[{ORDER}]"#)),
        "{\"success\":true,\"output\":\"{\\\"total\\\":9.0,\\\"lines\\\":1}\",\"result\":{\"total\":9.0,\"lines\":1}}\n"
    );
    assert_eq!(
        invoke(&format!(r#"lines","args":[{ORDER}],"streaming":true"#)),
        "{\"data\":{\"name\":\"tea\",\"price\":9.0},\"status\":\"partial\"}\n{\"data\":null,\"status\":\"ok\"}\n"
    );
    is_held_against_its_contract(&field, &sidecar);
}

#[test]
fn the_example_that_starts_its_process_answers_too() {
    let field = Field::new(&delivered("up.yaml").replace(":8080\"", ":0\""));
    field.write("prices.py", delivered("prices.py"));
    is_held_against_its_contract(&field, &field.up());
}

/// Over both ways.
fn is_held_against_its_contract(field: &Field, sidecar: &Sidecar) {
    assert_eq!(
        post(sidecar, "/price-order", ORDER).json(),
        json!({"total": 9.0, "lines": 1})
    );
    let mut line = Line::open(&field.path("calls.sock"));
    let answer = line
        .say(&format!(r#"{{"id":1,"function":"price_order","args":[{ORDER}]}}"#))
        .hear();
    assert_eq!(
        answer,
        json!({"id": 1, "success": true, "result": {"total": 9.0, "lines": 1}})
    );
    let wrong = post(sidecar, "/price-order", r#"{"items":[{"name":"tea","count":"2"}]}"#).json();
    let mut places: Vec<&str> = wrong["errors"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|error| error["path"].as_str())
        .collect();
    places.sort_unstable();
    assert_eq!(places, ["items[0].count", "items[0].price"]);
    let much = post(sidecar, "/price-order", &ORDER.replace("4.5", "1e6"));
    assert_eq!(
        (much.status, &much.json()["errorValue"]["tag"]),
        (422, &json!("main/TooMuch"))
    );
}

/// How `/types` spells the function.
const TYPE: &str = "price_order(order: { items: { count: number; name: string; price: number }[] }): Promise<{ lines: number; total: number }>;";
