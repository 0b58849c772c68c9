//! A plane whose backend has its buffer on disk, from the outside.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use chassis::lifecycle::Outcome;
use common::{arrived, config, lines, start};
use serde_json::json;
use signals::Plane;
use tokio::net::TcpListener;

async fn send(plane: &Plane, numbers: std::ops::Range<usize>) {
    common::send(plane, &lines(numbers)).await;
}

/// An address on which nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_backend_did_not_get_goes_out_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let away = json!({ "type": "http", "url": nobody().await, "buffer": { "type": "disk", "max_bytes": "4MiB" } });
    let first = start(&config(&away), folder.path()).await;
    send(&first, 0..500).await;
    let began = Instant::now();
    assert_eq!(first.finish(Some(Duration::from_secs(20))).await, Outcome::Finished);
    assert!(began.elapsed() < Duration::from_secs(10), "nothing is waited for");
    assert!(folder.path().join(".outrigger/signals/out.db").exists());
    drop(first);
    let there = json!({ "type": "file", "path": "out.jsonl", "buffer": { "type": "disk", "max_bytes": "4MiB" } });
    let second = start(&config(&there), folder.path()).await;
    send(&second, 500..600).await;
    let path = folder.path().join("out.jsonl");
    assert_eq!(arrived(&path, 600).await, lines(0..600));
    second.finish(Some(Duration::from_secs(20))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_hands_what_waits_to_the_backend_as_it_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let disk = json!({ "type": "disk", "max_bytes": "16MiB" });
    let away = json!({ "type": "http", "url": nobody().await, "buffer": disk });
    let file = |name: &str| json!({ "type": "file", "path": name, "buffer": disk });
    let plane = start(&config(&away), folder.path()).await;
    send(&plane, 0..100).await;
    plane.reload(&config(&file("0.jsonl"))).unwrap();
    // While lines come, the backend becomes another again and again.
    let reloaded = AtomicBool::new(false);
    let sending = async {
        let mut sent = 100;
        while !reloaded.load(Ordering::Relaxed) {
            send(&plane, sent..sent + 100).await;
            sent += 100;
        }
        sent
    };
    let reloading = async {
        for round in 1..10 {
            arrived(&folder.path().join(format!("{}.jsonl", round - 1)), 1).await;
            plane.reload(&config(&file(&format!("{round}.jsonl")))).unwrap();
        }
        reloaded.store(true, Ordering::Relaxed);
    };
    let (sent, ()) = tokio::join!(sending, reloading);
    let all = || -> String {
        let names = (0..10).map(|round| folder.path().join(format!("{round}.jsonl")));
        names.map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
    };
    let until = Instant::now() + Duration::from_mins(1);
    while all().lines().count() < sent {
        assert!(Instant::now() < until, "{} lines", all().lines().count());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    plane.finish(Some(Duration::from_secs(20))).await;
    // Each once, and in their order.
    assert_eq!(all(), lines(0..sent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_is_refused_leaves_the_buffer_with_its_backend() {
    let folder = tempfile::tempdir().unwrap();
    let disk = json!({ "type": "disk" });
    let file = json!({ "type": "file", "path": "a.jsonl", "buffer": disk });
    let plane = start(&config(&file), folder.path()).await;
    let mut wrong = config(&json!({ "type": "file", "path": "b.jsonl", "buffer": disk }));
    let other = json!({ "type": "http", "url": "http://a", "headers": { "no name": "x" } });
    wrong
        .backends
        .insert("z".to_owned(), serde_json::from_value(other).unwrap());
    plane.reload(&wrong).unwrap_err();
    send(&plane, 0..10).await;
    assert_eq!(arrived(&folder.path().join("a.jsonl"), 10).await, lines(0..10));
    plane.finish(Some(Duration::from_secs(20))).await;
}
