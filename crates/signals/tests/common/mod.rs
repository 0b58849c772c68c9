//! What the tests of backends share: a plane, and a sender.

#![allow(dead_code, reason = "each of the tests uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

pub(crate) mod moto;
pub(crate) mod postgres;

use std::{
    future::Future,
    path::Path,
    time::{Duration, Instant},
};

use chassis::{
    lifecycle::Health,
    telemetry::{Metrics, Reports},
};
use serde_json::{Value, json};
use signals::{Plane, Signals};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A plane with one backend, to which all lines go at once.
pub(crate) fn config(backend: &Value) -> Signals {
    serde_json::from_value(json!({
        "tcp": { "port": 0 },
        "buffers": { "flush_interval": 0, "per_source_buffer": 100_000 },
        "backends": { "out": backend },
    }))
    .unwrap()
}

pub(crate) async fn start(config: &Signals, folder: &Path) -> Plane {
    let metrics = Metrics::default();
    Plane::start(config, folder, &Health::new(), &metrics, Reports::new(&metrics).1)
        .await
        .unwrap()
}

/// Numbered lines, each with its end.
pub(crate) fn lines(numbers: std::ops::Range<usize>) -> String {
    let line = |number| format!("{}\n", json!({"src": "a", "ts": number, "type": "event", "data": {}}));
    numbers.map(line).collect()
}

/// Sends lines, and waits until they are in the backends' buffers.
pub(crate) async fn send(plane: &Plane, text: &str) {
    let mut stream = TcpStream::connect(plane.addresses()[0]).await.unwrap();
    let hello = "{\"type\":\"hello\",\"src\":\"a\",\"data\":{\"ack\":true}}\n";
    stream.write_all((hello.to_owned() + text).as_bytes()).await.unwrap();
    let mut told = String::new();
    let wanted = format!("{{\"ack\":{}}}\n", text.lines().count());
    while !told.ends_with(&wanted) {
        let mut bytes = [0; 64];
        let read = stream.read(&mut bytes).await.unwrap();
        assert!(read > 0, "closed after {told}");
        told.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
}

/// Looks until there is something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let limit = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < limit, "waited too long: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Looks until a file has so many lines; those.
pub(crate) async fn arrived(path: &Path, count: usize) -> String {
    let what = format!("{count} lines in {}", path.display());
    until(&what, async || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        (text.lines().count() >= count).then_some(text)
    })
    .await
}

/// Ends a plane.
pub(crate) async fn finish(plane: Plane) {
    plane.finish(Some(Duration::from_secs(20))).await;
}
