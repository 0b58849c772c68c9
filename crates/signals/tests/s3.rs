//! Lines in an S3.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use common::{config, finish, lines, moto::Moto, send, start, until};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

fn backend(endpoint: &str) -> Value {
    json!({
        "type": "s3", "bucket": "logs", "prefix": "x/{source}/", "region": "us-east-1", "endpoint": endpoint,
        "access_key_id": "any", "secret_access_key": "any",
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_become_objects_and_no_line_is_lost_while_the_bucket_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let mut moto = Moto::start();
    let plane = start(&config(&backend(&moto.url())), folder.path()).await;
    send(&plane, &lines(0..50)).await;
    moto.make("logs");
    send(&plane, &lines(50..100)).await;
    send(&plane, "{\"src\":\"b/c\",\"ts\":1,\"type\":\"event\"}\n").await;
    let moto = Arc::new(Mutex::new(moto));
    let objects = until("101 lines", async || {
        let objects = moto.lock().unwrap().read("logs");
        let count: usize = objects.values().map(|text| text.lines().count()).sum();
        (count >= 101).then_some(objects)
    })
    .await;
    let of = |prefix: &str| -> String {
        let own = objects.iter().filter(|(name, _)| name.starts_with(prefix));
        own.map(|(_, text)| text.as_str()).collect()
    };
    assert_eq!(of("x/a/"), lines(0..100));
    assert_eq!(of("x/b_c-").lines().count(), 1);
    finish(plane).await;
}

/// A server that fails where it is told to; gives the bodies that it took, by name, and how often it was asked.
async fn failing(at: &'static [usize]) -> (String, Arc<Mutex<(usize, BTreeMap<String, usize>)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<(usize, BTreeMap<String, usize>)>> = Arc::default();
    let told = Arc::clone(&seen);
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).await.unwrap();
            let name = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let status = {
                let mut seen = told.lock().unwrap();
                seen.0 += 1;
                if at.contains(&seen.0) {
                    "500 Internal Server Error"
                } else {
                    *seen.1.entry(name).or_default() += 1;
                    "200 OK"
                }
            };
            let answer = format!("HTTP/1.1 {status}\r\nETag: \"x\"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, seen)
}

#[tokio::test]
async fn what_arrived_of_a_batch_does_not_stand_there_twice() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let folder = tempfile::tempdir().unwrap();
            let (url, seen) = failing(&[2, 4]).await;
            let mut config = config(&backend(&url));
            config.buffers.flush_interval = chassis::config::Duration::from_secs(60);
            config.buffers.flush_batch_size = 3.try_into().unwrap();
            let plane = start(&config, folder.path()).await;
            let of = |source: &str| format!("{{\"src\":\"{source}\",\"ts\":1,\"type\":\"event\"}}\n");
            send(&plane, &["a", "b", "c"].map(of).concat()).await;
            until("three objects", async || {
                (seen.lock().unwrap().1.len() >= 3).then_some(())
            })
            .await;
            finish(plane).await;
            let (asked, taken) = &*seen.lock().unwrap();
            assert_eq!((*asked, taken.len()), (5, 3), "{taken:?}");
            assert!(taken.values().all(|times| *times == 1), "{taken:?}");
        })
        .await;
}
