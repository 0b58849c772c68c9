//! Bodies go through as they come, as fast as the other side takes them, and leave no trace in memory.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
    time::timeout,
};

use crate::common::{Client, Front, SOON, Server, until};

const MIB: usize = 1024 * 1024;
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
    // Until it stands still.
    let mut before = usize::MAX;
    let still = loop {
        let now = written.load(std::sync::atomic::Ordering::Relaxed);
        if now == before {
            break now;
        }
        assert!(now < 32 * MIB, "{now} bytes in sockets alone");
        before = now;
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert!(still < 32 * MIB, "{still} bytes in sockets alone");
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
