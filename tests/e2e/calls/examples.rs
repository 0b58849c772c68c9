//! What is delivered for a newcomer runs as it stands.

use std::path::Path;

use super::{Line, ask, post};
use crate::harness::{Field, json};

fn delivered(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/calls");
    std::fs::read_to_string(root.join(name)).expect("it is there")
}

#[test]
fn the_example_answers_over_both_ways() {
    let field = Field::new(&delivered("outrigger.yaml").replace(":8080\"", ":0\""));
    field.write("prices.py", delivered("prices.py"));
    let sidecar = field.up();
    let order = r#"{"items":[{"name":"tea","price":4.5,"count":2}]}"#;
    assert_eq!(
        post(&sidecar, "/price-order", order).json(),
        json!({"total": 9.0, "lines": 1})
    );
    let mut line = Line::open(&field.path("calls.sock"));
    let answer = line
        .say(&format!(r#"{{"id":1,"function":"priceOrder","args":[{order}]}}"#))
        .hear();
    assert_eq!(
        answer,
        json!({"id": 1, "success": true, "result": {"total": 9.0, "lines": 1}})
    );
    let wrong = post(&sidecar, "/price-order", r#"{"items":[{"name":"tea","count":"2"}]}"#).json();
    let mut places: Vec<&str> = wrong["errors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|error| error["path"].as_str())
        .collect();
    places.sort_unstable();
    assert_eq!(places, ["items[0].count", "items[0].price"]);
    let much = post(&sidecar, "/price-order", &order.replace("4.5", "1e6"));
    assert_eq!(
        (much.status, &much.json()["errorValue"]["tag"]),
        (422, &json!("main/TooMuch"))
    );
    let types = ask(&sidecar, "GET", "/types", &[], "").json();
    let spelt = "priceOrder(order: { items: { count: number; name: string; price: number }[] }): Promise<{ lines: number; total: number }>;";
    assert!(types["output"].as_str().unwrap().contains(spelt), "{types}");
}

#[test]
fn the_sidecars_example_passes() {
    let field = Field::new("");
    field.write("c.yaml", delivered("sidecar.yaml"));
    let said = field.ok(&["check", "c.yaml"]);
    assert!(
        said.ends_with("c.yaml: 1 function `priceOrder` on `http://127.0.0.1:8080`\n"),
        "{said}"
    );
}
