//! OTLP over HTTP, from OpenTelemetry's Python libraries and from a socket.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::{plane::Running, python};

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

const JSON: &str = "Content-Type: application/json\r\n";

async fn listener(more: Value) -> Running {
    let mut config = json!({ "listen": "127.0.0.1:0" });
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Running::start(json!({ "otlp": config })).await
}

/// Sends a request on a connection and reads the answer.
fn ask(stream: &mut TcpStream, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // One that is refused at its head may be gone by now.
    let _ = stream.write_all(body);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
        body: String::from_utf8(body).unwrap(),
    }
}

/// The same on a connection of its own.
async fn post(address: SocketAddr, path: &'static str, headers: &'static str, body: Vec<u8>) -> Answer {
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        ask(&mut stream, "POST", path, headers, &body)
    });
    asked.await.unwrap()
}

fn logs(texts: &[&str]) -> Vec<u8> {
    let records: Vec<Value> = texts
        .iter()
        .map(|text| json!({ "body": { "stringValue": text } }))
        .collect();
    json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] })
        .to_string()
        .into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_libraries_of_opentelemetry_are_understood() {
    for compression in ["none", "gzip"] {
        let running = listener(json!({})).await;
        let mut command = Command::new(python::interpreter());
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/other_senders/send.py"))
            .env(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://{}", running.addresses().otlp.unwrap()),
            )
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
            .env("OTEL_SERVICE_NAME", "shop");
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        running.finish().await;
        let lines = running.lines();
        assert!(lines.iter().all(|line| line["src"] == "shop"), "{lines:?}");
        let find = |kind: &str, key: &str, value: &str| {
            let mut found = lines
                .iter()
                .filter(|line| line["type"] == kind && line["data"][key] == value);
            found
                .next()
                .unwrap_or_else(|| panic!("no {kind} {value} in {lines:#?}"))
        };
        let (outer, inner) = (find("span", "name", "outer"), find("span", "name", "inner"));
        assert_eq!(
            (&inner["pid"], &inner["tid"], &inner["data"]["tags"]["n"]),
            (&outer["sid"], &outer["tid"], &7.into())
        );
        assert_eq!(
            (&outer["data"]["status"], &outer["data"]["message"]),
            (&"error".into(), &"empty".into())
        );
        assert!(inner["data"]["start"].as_f64() >= outer["data"]["start"].as_f64());
        let warning = find("event", "msg", "low on tea");
        assert_eq!(
            (&warning["data"]["level"], &warning["sid"]),
            (&"warn".into(), &inner["sid"])
        );
        assert_eq!(warning["data"]["ctx"]["stock"], 3);
        assert_eq!(find("event", "msg", "none left")["data"]["level"], "error");
        let sold = find("metric", "name", "sold");
        assert_eq!(
            (&sold["data"]["value"], &sold["data"]["tags"]),
            (&5.into(), &json!({ "what": "tea" }))
        );
        assert_eq!(find("metric", "name", "price_sum")["data"]["value"], 2.5);
        assert_eq!(find("metric", "name", "price_count")["data"]["value"], 1);
        assert_eq!(find("metric", "name", "price_bucket")["data"]["tags"]["le"], "0.0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_request_has_its_answer() {
    let running = listener(json!({ "max_body": "4KiB", "max_inflated": "16KiB" })).await;
    let address = running.addresses().otlp.unwrap();
    let gzipped = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
    for (path, headers, body, status) in [
        ("/v1/logs", JSON, logs(&["a"]), 200),
        ("/v1/logs", gzipped, gzip(&logs(&["b"])), 200),
        ("/v1/traces", JSON, b"{}".to_vec(), 200),
        (
            "/v1/metrics",
            "Content-Type: application/x-protobuf\r\n",
            Vec::new(),
            200,
        ),
        ("/v1/logs", JSON, b"{\"resourceLogs\":7}".to_vec(), 400),
        (
            "/v1/logs",
            "Content-Type: application/x-protobuf\r\n",
            b"\xff\xff".to_vec(),
            400,
        ),
        ("/v1/logs", gzipped, b"{}".to_vec(), 400),
        ("/v1/profiles", JSON, b"{}".to_vec(), 404),
        ("/v1/logs", JSON, vec![b' '; 4097], 413),
        ("/v1/logs", gzipped, gzip(&vec![b' '; 16385]), 413),
        ("/v1/logs", "Content-Type: text/plain\r\n", b"{}".to_vec(), 415),
        (
            "/v1/logs",
            "Content-Type: application/json\r\nContent-Encoding: br\r\n",
            b"{}".to_vec(),
            415,
        ),
    ] {
        let answer = post(address, path, headers, body).await;
        assert_eq!(answer.status, status, "{path} {headers} {answer:?}");
        if headers == JSON {
            assert!(answer.head.contains("content-type: application/json"), "{answer:?}");
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(body["message"].is_string(), status != 200, "{body}");
        }
    }
    let mut stream = TcpStream::connect(address).unwrap();
    let answer = tokio::task::spawn_blocking(move || ask(&mut stream, "GET", "/v1/logs", "", b""))
        .await
        .unwrap();
    assert!(
        answer.status == 405 && answer.head.contains("allow: post"),
        "{answer:?}"
    );
    let lines = running.wait_for(2).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_is_told_of_records_that_are_no_lines() {
    let running = listener(json!({})).await;
    let long = "x".repeat(70_000);
    let answer = post(
        running.addresses().otlp.unwrap(),
        "/v1/logs",
        JSON,
        logs(&["a", &long, "b"]),
    )
    .await;
    assert_eq!(answer.status, 200);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["partialSuccess"]["rejectedLogRecords"], "1", "{body}");
    running.wait_for_dropped("too_long", 1).await;
    let texts: Vec<Value> = running
        .wait_for(2)
        .await
        .iter()
        .map(|line| line["data"]["msg"].clone())
        .collect();
    assert_eq!(texts, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_request_that_becomes_very_many_bytes_is_refused_whole() {
    let running = listener(json!({ "max_body": "64KiB", "max_inflated": "64KiB" })).await;
    let records: Vec<Value> = (0..100).map(|_| json!({ "body": { "stringValue": "x" } })).collect();
    let resource = json!({ "attributes": [{ "key": "k", "value": { "stringValue": "x".repeat(10_000) } }] });
    let body = json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": records }] }] });
    let answer = post(
        running.addresses().otlp.unwrap(),
        "/v1/logs",
        JSON,
        body.to_string().into_bytes(),
    )
    .await;
    assert_eq!(answer.status, 413, "{answer:?}");
    running.finish().await;
    assert!(running.lines().is_empty());
    assert_eq!(
        running.count("sidecar_messages_received_total{source=\"unknown_service\"}"),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_to_be_known() {
    let running = listener(json!({ "token": "t0ken" })).await;
    let address = running.addresses().otlp.unwrap();
    let with = |token: &'static str| async move { post(address, "/v1/logs", token, logs(&["a"])).await };
    assert_eq!(
        with("Content-Type: application/json\r\nAuthorization: Bearer t0ken\r\n")
            .await
            .status,
        200
    );
    assert_eq!(
        with("Content-Type: application/json\r\nAuthorization: Bearer t0ken2\r\n")
            .await
            .status,
        401
    );
    let answer = with(JSON).await;
    assert!(
        answer.status == 401 && answer.head.contains("www-authenticate: bearer"),
        "{answer:?}"
    );
    running.wait_for_dropped("auth_failed", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_holds_back_makes_senders_come_again_and_nothing_of_them_is_taken() {
    // Takes connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let backend = json!({ "type": "http", "url": format!("http://{}", silent.local_addr().unwrap()), "timeout": "60s",
        "flush_interval": 0, "max_queue_size": 2 });
    let running = Running::with(
        json!({ "otlp": { "listen": "127.0.0.1:0" } }),
        json!({ "silent": backend }),
    )
    .await;
    let address = running.addresses().otlp.unwrap();
    assert_eq!(post(address, "/v1/logs", JSON, logs(&["a", "b"])).await.status, 200);
    let answer = post(address, "/v1/logs", JSON, logs(&["c"])).await;
    assert!(
        answer.status == 429 && answer.head.contains("retry-after: 1"),
        "{answer:?}"
    );
    assert_eq!(
        running.count("sidecar_messages_received_total{source=\"unknown_service\"}"),
        2
    );
    assert_eq!(
        running.count("sidecar_messages_dropped_total{reason=\"buffer_full\"}"),
        0
    );
    running.plane.finish(Some(Duration::ZERO)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_goes_on_is_told_of_the_end() {
    let running = listener(json!({})).await;
    let mut stream = TcpStream::connect(running.addresses().otlp.unwrap()).unwrap();
    let first = tokio::task::spawn_blocking(move || {
        let answer = ask(&mut stream, "POST", "/v1/logs", JSON, &logs(&["a"]));
        (answer, stream)
    });
    let (answer, mut stream) = first.await.unwrap();
    assert_eq!(answer.status, 200);
    let finish = running.finish();
    tokio::pin!(finish);
    // Begins the end.
    assert!(futures_util::poll!(&mut finish).is_pending());
    let second = tokio::task::spawn_blocking(move || ask(&mut stream, "POST", "/v1/logs", JSON, &logs(&["b"])));
    let (answer, ()) = tokio::join!(second, finish);
    let answer = answer.unwrap();
    assert!(
        answer.status == 503 && answer.head.contains("retry-after: 1"),
        "{answer:?}"
    );
    assert_eq!(running.lines().len(), 1);
}
