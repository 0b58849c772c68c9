//! What the server answers, path by path.

use super::{ONE, ask, invoke, post, with_handler};
use crate::harness::{Answer, Field, Plain, json};

const GOOD: &str = r#"{"records":[{"id":"a"}]}"#;

#[test]
fn a_function_is_called_by_invoke_and_by_its_own_path() {
    let (_field, handler, sidecar) = with_handler(ONE, |_| Answer::text(r#"{ "processed": 1.0, "list": [ 1 ] }"#));
    let reply = post(&sidecar, "/invoke", &invoke("processData", &format!("[ {GOOD} ]")));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-forst-contract-version"), Some("2"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(
        reply.body,
        "{\"success\":true,\"output\":\"{\\\"processed\\\":1.0,\\\"list\\\":[1]}\",\"result\":{\"processed\":1.0,\"list\":[1]}}\n"
    );
    let reply = post(&sidecar, "/process-data", GOOD);
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (200, "{ \"processed\": 1.0, \"list\": [ 1 ] }\n")
    );
    // The one argument is all that the handler gets.
    assert_eq!(handler.requests(), [GOOD, GOOD]);
}

#[test]
fn results_are_taken_literally() {
    let (_field, _handler, sidecar) = with_handler(ONE, |request| {
        let results = [
            "[1,[2]]",
            "null",
            "\"text\"",
            r#"{"status":"ok"}"#,
            r#"{"status":"ok","result":[]}"#,
        ];
        Answer::text(results[request.number - 1])
    });
    for (output, result) in [
        ("[1,[2]]", json!([1, [2]])),
        ("null", json!(null)),
        ("text", json!("text")),
        ("null", json!(null)),
        ("[]", json!([])),
    ] {
        let reply = post(&sidecar, "/invoke", &invoke("processData", &format!("[{GOOD}]"))).json();
        assert_eq!(reply, json!({"success": true, "output": output, "result": result}));
    }
}

#[test]
fn the_server_tells_of_itself() {
    let (_field, _handler, sidecar) = with_handler(ONE, |_| Answer::text("1"));
    let health = ask(&sidecar, "GET", "/health", &[], "");
    assert_eq!(
        health.json(),
        json!({"success": true, "output": "outrigger is healthy"})
    );
    let version = ask(&sidecar, "GET", "/version", &[], "").json();
    assert_eq!(version["result"]["contractVersion"], "2");
    for key in ["version", "commit", "date", "runtime"] {
        assert!(version["result"][key].is_string(), "{version}");
    }
    for path in ["/health", "/version", "/functions", "/types"] {
        let (get, head) = (
            ask(&sidecar, "GET", path, &[], ""),
            ask(&sidecar, "HEAD", path, &[], ""),
        );
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        assert_eq!(head.header("x-forst-contract-version"), Some("2"));
    }
}

#[test]
fn functions_are_listed_with_their_types() {
    let field = Field::new(
        r#"calls:
  listen: [ "http://127.0.0.1:0" ]
  functions:
    - { name: zoom, package: maps, handler: { http: "http://127.0.0.1:9" }, streaming: true,
        args: [ { name: x, schema: { type: integer } }, { name: in } ], result: { type: [ string, "null" ] } }
    - { name: load, handler: { http: "http://127.0.0.1:9" } }
    - { name: load, package: maps, handler: { http: "http://127.0.0.1:9" }, args: [] }
"#,
    );
    let sidecar = field.run();
    let list = ask(&sidecar, "GET", "/functions", &[], "").json();
    assert_eq!(list["success"], true);
    assert_eq!(
        list["result"],
        json!([
            {"package": "main", "name": "load", "supportsStreaming": false, "inputType": "unknown", "outputType": "unknown",
             "parameters": [], "returnType": "unknown", "filePath": "", "path": "/main/load"},
            {"package": "maps", "name": "load", "supportsStreaming": false, "inputType": "void", "outputType": "unknown",
             "parameters": [], "returnType": "unknown", "filePath": "", "path": "/maps/load"},
            {"package": "maps", "name": "zoom", "supportsStreaming": true, "inputType": "[x: number, in: unknown]",
             "outputType": "string | null", "parameters": [{"name": "x", "type": "number"}, {"name": "in", "type": "unknown"}],
             "returnType": "string | null", "filePath": "", "path": "/zoom"},
        ])
    );
    let types = ask(&sidecar, "GET", "/types", &[], "").json();
    let text = types["output"].as_str().expect("text");
    assert!(
        text.contains("zoom(x: number, arg1: unknown): Promise<string | null>;"),
        "{text}"
    );
    assert!(text.contains("load(...args: unknown[]): Promise<unknown>;"), "{text}");
}

#[test]
fn a_name_that_stands_twice_is_called_with_its_package() {
    let field = Field::new(
        "calls:
  listen: [ \"http://127.0.0.1:0\" ]
  functions:
    - { name: load, handler: { socket: a.sock, dialect: plain } }
    - { name: load, package: otherMaps, handler: { socket: b.sock, dialect: plain } }
",
    );
    let _first = Plain::at(&field.path("a.sock"), |_| Answer::text("1"));
    let _second = Plain::at(&field.path("b.sock"), |_| Answer::text("2"));
    let sidecar = field.run();
    assert_eq!(post(&sidecar, "/main/load", "0").body, "1\n");
    assert_eq!(post(&sidecar, "/other-maps/load", "0").body, "2\n");
    assert_eq!(post(&sidecar, "/load", "0").status, 404);
    assert_eq!(post(&sidecar, "/invoke", &invoke("load", "[]")).status, 404);
    let named = post(
        &sidecar,
        "/invoke",
        r#"{"package":"otherMaps","function":"load","args":[]}"#,
    );
    assert_eq!(named.json()["result"], 2);
}

#[test]
fn several_arguments_are_a_list() {
    let config = "calls:
  listen: [ \"http://127.0.0.1:0\" ]
  functions:
    - { name: add, handler: { socket: f.sock, dialect: plain }, args: [ { name: a, schema: { type: number } }, { name: b } ] }
    - { name: open, handler: { socket: f.sock, dialect: plain } }
    - { name: none, handler: { socket: f.sock, dialect: plain }, args: [] }
";
    let (_field, handler, sidecar) = with_handler(config, |_| Answer::text("3"));
    assert_eq!(post(&sidecar, "/add", "[1, 2]").body, "3\n");
    assert_eq!(post(&sidecar, "/invoke", &invoke("add", "[1,2]")).json()["result"], 3);
    assert_eq!(post(&sidecar, "/open", "{\"x\":1}").body, "3\n");
    assert_eq!(post(&sidecar, "/none", "").body, "3\n");
    assert_eq!(handler.requests(), ["[1, 2]", "[1,2]", "[{\"x\":1}]", "[]"]);
    let wrong = post(&sidecar, "/add", "[\"1\"]").json();
    assert_eq!(wrong["code"], "bad_arguments");
    let paths: Vec<_> = wrong["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["path"])
        .collect();
    assert_eq!(paths, ["args[0]", "args[1]"]);
}
