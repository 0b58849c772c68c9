//! Bodies go through as they come, as fast as the other side takes them, and leave no trace in memory.
#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod common;

use std::{sync::Arc, time::Duration};

use common::{Client, Front, SOON, Server, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
    time::timeout,
};

/// What the process holds in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

const MIB: usize = 1024 * 1024;
/// What goes through; far more than may be held.
const LENGTH: usize = 256 * MIB;
/// What may be held of it, with the buffers of client and server, which are in this process too.
const HELD: u64 = 24 * MIB as u64;

async fn pour(to: &mut (impl AsyncWriteExt + Unpin), length: usize) {
    let part = vec![b'x'; MIB];
    for _ in 0..length / MIB {
        to.write_all(&part).await.unwrap();
    }
}

/// Reads so many bytes, and gives the most memory that was held meanwhile.
async fn drink(from: &mut (impl AsyncReadExt + Unpin), length: usize) -> u64 {
    let mut buffer = vec![0; 256 * 1024];
    let (mut all, mut most) = (0, 0);
    while all < length {
        let read = timeout(SOON, from.read(&mut buffer)).await.unwrap().unwrap();
        assert!(read > 0, "cut short after {all} bytes");
        all += read;
        most = most.max(resident());
    }
    most
}

/// One after the other: memory is measured of the whole process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_pass_in_little_memory_in_both_directions() {
    let server = Server::start(|mut stream, _| async move {
        while stream.peek(&mut [0]).await.unwrap_or(0) > 0 {
            let head = until(&mut stream, "\r\n\r\n").await;
            if head.starts_with("PUT") {
                let most = drink(&mut stream, LENGTH).await;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{most}",
                    most.to_string().len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            } else {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
                pour(&mut stream, LENGTH).await;
            }
        }
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let before = resident();
    let mut client = front.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    let most = drink(&mut client.0, LENGTH).await;
    assert!(
        most < before + HELD,
        "{} MiB more than at the start",
        (most - before) / MIB as u64
    );

    let before = resident();
    let mut client = front.connect().await;
    client
        .send(format!(
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\nConnection: close\r\n\r\n"
        ))
        .await;
    pour(&mut client.0, LENGTH).await;
    let answer = client.rest().await;
    let most: u64 = answer.rsplit("\r\n").next().unwrap().parse().unwrap();
    assert!(
        most < before + HELD,
        "{} MiB more than at the start",
        (most - before) / MIB as u64
    );
}

#[tokio::test]
async fn a_reader_that_stops_holds_the_writer_back() {
    let written = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let of_server = Arc::clone(&written);
    let server = Server::start(move |mut stream, _| {
        let written = Arc::clone(&of_server);
        async move {
            until(&mut stream, "\r\n\r\n").await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let part = vec![b'x'; MIB];
            while stream.write_all(&part).await.is_ok() {
                written.fetch_add(MIB, std::sync::atomic::Ordering::Relaxed);
            }
        }
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut client = front.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let early = written.load(std::sync::atomic::Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let late = written.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(early, late, "it stands still");
    assert!(late < 32 * MIB, "{late} bytes in sockets alone");
}

#[tokio::test]
async fn each_part_arrives_before_the_next_is_sent() {
    let go_on = Arc::new(Semaphore::new(0));
    let of_server = Arc::clone(&go_on);
    let server = Server::start(move |mut stream, _| {
        let go_on = Arc::clone(&of_server);
        async move {
            until(&mut stream, "\r\n\r\n").await;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            for number in 0..5 {
                go_on.acquire().await.unwrap().forget();
                stream
                    .write_all(format!("9\r\ndata: {number}\n\n\r\n").as_bytes())
                    .await
                    .unwrap();
            }
            stream.write_all(b"0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut client: Client = front.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    for number in 0..5 {
        go_on.add_permits(1);
        client.until(&format!("data: {number}\n\n")).await;
    }
    client.until("0\r\n\r\n").await;
}

#[tokio::test]
async fn pythons_own_server_is_an_upstream_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file.bin"), vec![7; 3 * MIB]).unwrap();
    let script = "import http.server, socketserver, sys\n\
                  s = socketserver.ThreadingTCPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n\
                  print(s.server_address[1], flush=True)\n\
                  s.serve_forever()";
    let mut python = tokio::process::Command::new("python3")
        .args(["-c", script])
        .current_dir(folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut port = String::new();
    let mut out = tokio::io::BufReader::new(python.stdout.take().unwrap());
    tokio::io::AsyncBufReadExt::read_line(&mut out, &mut port)
        .await
        .unwrap();
    let front = Front::to(calls::config::Upstream::at([format!(
        "http://127.0.0.1:{}",
        port.trim()
    )]))
    .await;
    for _ in 0..2 {
        let mut client = front.connect().await;
        client
            .send("GET /file.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await;
        let mut all = Vec::new();
        timeout(SOON, client.0.read_to_end(&mut all)).await.unwrap().unwrap();
        assert!(all.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert!(all.len() > 3 * MIB && all[all.len() - 3 * MIB..].iter().all(|byte| *byte == 7));
        assert!(
            front
                .ask("GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .await
                .starts_with("HTTP/1.1 404 ")
        );
    }
}
