//! The way of a line through the whole plane, to backends that speak HTTP.

use std::{fs, sync::Mutex, time::Duration};

use chassis::{
    lifecycle::{Health, Outcome},
    telemetry::{Exposition, Metrics, Reports},
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::testing::{Asked, Reply, Site};
use crate::Plane;

const EVENT: &str = r#"{"src":"api","ts":1714557600001,"type":"event","data":{"level":"info","msg":"hi"}}"#;
const ODD: &str = r#"{"src":"api","ts":1714557600002,"type":"event","data":{"level":"odd","msg":7}}"#;
const METRIC: &str = r#"{"src":"api","ts":1714557600003,"type":"metric","data":{"name":"load","value":0.5}}"#;

/// What a request to `/_bulk` holds, line by line: one is busy at first, and one never fits.
fn bulk(asked: &Asked, is_first: bool) -> Reply {
    let lines: Vec<&str> = asked.text().lines().skip(1).step_by(2).collect();
    let items = lines.iter().map(|line| match line {
        line if line.contains(r#""odd""#) => json!({ "create": { "status": 400, "error": { "type": "x" } } }),
        line if line.contains(r#""metric""#) && is_first => {
            json!({ "create": { "status": 429, "error": { "type": "y" } } })
        }
        _ => json!({ "create": { "status": 201 } }),
    });
    Reply::status(200).body(json!({ "items": items.collect::<Vec<_>>() }).to_string())
}

#[tokio::test]
async fn each_line_reaches_every_backend_or_its_dead_letters() {
    let calls = Mutex::new(0);
    let site = Site::open(move |asked| {
        let mut calls = calls.lock().unwrap();
        match asked.path.split('?').next().unwrap() {
            "/_bulk" => {
                *calls += 1;
                bulk(asked, *calls == 1)
            }
            "/loki/api/v1/push" => Reply::status(204),
            _ => Reply::status(200),
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "tcp": { "port": 0 },
        "backends": {
            "logs": { "type": "loki", "url": site.url("") },
            "search": { "type": "elasticsearch", "config": { "url": site.url(""), "dead_letter": "refused.jsonl" } },
            "collector": { "type": "otlp", "url": site.url("") },
            "prom": { "type": "prometheus", "remote_write": { "url": site.url("/write"), "interval": "1h" } },
            "plain": { "type": "http", "url": site.url("/plain") },
        },
    });
    let (health, metrics) = (Health::new(), Metrics::new());
    let config = serde_json::from_value(config).unwrap();
    let plane = Plane::start(&config, folder.path(), &health, &metrics, Reports::new(&metrics).1)
        .await
        .unwrap();
    let mut stream = TcpStream::connect(plane.addresses()[0]).await.unwrap();
    stream
        .write_all(format!("{EVENT}\n{ODD}\n{METRIC}\n").as_bytes())
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(plane.finish(Some(Duration::from_secs(30))).await, Outcome::Finished);

    let asked = site.asked();
    let counted = |path: &str, text: &str| {
        let of_path = asked.iter().filter(|asked| asked.path.split('?').next() == Some(path));
        of_path
            .filter(|asked| String::from_utf8_lossy(&asked.body).contains(text))
            .count()
    };
    assert_eq!(
        ["hi", "odd", "load"].map(|text| counted("/loki/api/v1/push", text)),
        [1, 1, 1]
    );
    assert_eq!(["hi", "odd", "load"].map(|text| counted("/plain", text)), [1, 1, 1]);
    assert_eq!(["hi", "odd", "load"].map(|text| counted("/_bulk", text)), [1, 1, 2]);
    assert_eq!(
        [
            counted("/v1/logs", "hi"),
            counted("/v1/logs", "odd"),
            counted("/v1/metrics", "load")
        ],
        [1, 1, 1]
    );
    assert_eq!(counted("/write", "load"), 1);
    assert_eq!(
        fs::read_to_string(folder.path().join("refused.jsonl")).unwrap(),
        format!("{ODD}\n")
    );
    let counts = metrics.encode(Exposition::Prometheus);
    assert!(
        counts.contains("sidecar_messages_dropped_total{reason=\"backend_failed\"} 1\n"),
        "{counts}"
    );
}
