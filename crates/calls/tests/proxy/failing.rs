//! What the client is told when an upstream fails.

use std::{sync::Arc, time::Duration};

use calls::config::{Timeouts, Upstream};
use chassis::config::Duration as Wait;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
    time::timeout,
};

use crate::common::{
    Front, GET, OK, SOON, Server,
    http2::{connected, read},
    hurried, is, nobody, stalling, until,
};

/// Takes a listener's whole backlog, so that nobody can connect.
async fn deaf() -> (std::net::TcpListener, u16, Vec<tokio::net::TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into())
        .unwrap();
    socket.listen(0).unwrap();
    let listener: std::net::TcpListener = socket.into();
    let port = listener.local_addr().unwrap().port();
    let mut guests = Vec::new();
    // Until one more has to wait.
    while let Ok(guest) = timeout(
        Duration::from_millis(200),
        tokio::net::TcpStream::connect(("127.0.0.1", port)),
    )
    .await
    {
        guests.push(guest.unwrap());
    }
    (listener, port, guests)
}

#[tokio::test]
async fn every_failure_before_the_head_has_its_answer() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70 * 1024));
    let long: &'static str = Box::leak(long.into_boxed_str());
    for (upstream, status, error) in [
        ("", 502, "Bad gateway"),
        ("HTTP/1.1 200 OK\r\nContent-Le", 502, "Bad gateway"),
        ("SSH-2.0-OpenSSH_9\r\n\r\n", 502, "Bad gateway"),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", 502, "Bad gateway"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            502,
            "Bad gateway",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            502,
            "Bad gateway",
        ),
        (long, 502, "Bad gateway"),
    ] {
        let server = Server::saying(upstream).await;
        let front = Front::to(hurried(server.upstream())).await;
        is(&front.ask(GET).await, status, error);
    }
    let front = Front::to(hurried(Upstream::at([format!("http://127.0.0.1:{}", nobody().await)]))).await;
    is(&front.ask(GET).await, 503, "Sidecar unavailable");
    let front = Front::to(hurried(Upstream::at(["http+unix:///nonexistent/socket"]))).await;
    is(&front.ask(GET).await, 503, "Sidecar unavailable");
    let server = stalling("").await;
    let front = Front::to(hurried(server.upstream())).await;
    is(&front.ask(GET).await, 504, "Gateway timeout");
    let total = Timeouts {
        total: Wait::from_millis(200),
        ..Timeouts::default()
    };
    let front = Front::to(Upstream {
        timeouts: total,
        ..server.upstream()
    })
    .await;
    is(&front.ask(GET).await, 504, "Gateway timeout");
    let (_listener, port, _guests) = deaf().await;
    let front = Front::to(hurried(Upstream::at([format!("http://127.0.0.1:{port}")]))).await;
    is(&front.ask(GET).await, 504, "Gateway timeout");
    let answer = front
        .ask("TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 405 ") && answer.to_ascii_lowercase().contains("\nallow: get"),
        "{answer}"
    );
    let answer = front.ask("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn what_fails_after_the_head_breaks_the_connection() {
    for cut in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    ] {
        for stays in [false, true] {
            let server = if stays {
                stalling(cut).await
            } else {
                Server::start(move |mut stream, _| async move {
                    until(&mut stream, "\r\n\r\n").await;
                    stream.write_all(cut.as_bytes()).await.unwrap();
                })
                .await
            };
            let front = Front::to(hurried(server.upstream())).await;
            let mut client = front.connect().await;
            client.send(GET).await;
            let head = client.until("\r\n\r\n").await;
            assert!(head.starts_with("HTTP/1.1 200 OK"));
            let mut rest = Vec::new();
            let ended = timeout(SOON, client.0.read_to_end(&mut rest)).await.expect("it ends");
            let rest = String::from_utf8_lossy(&rest);
            assert!(!rest.ends_with("0\r\n\r\n"), "{cut:?}: {rest}");
            // To a client of HTTP/1.0 the end of the connection would be the end of the body.
            assert!(
                ended.is_err() || rest.starts_with("3\r\nabc") || rest == "abc",
                "{cut:?}: {rest}"
            );
            let mut old = front.connect().await;
            old.send("GET / HTTP/1.0\r\n\r\n").await;
            let mut all = Vec::new();
            let ended = timeout(SOON, old.0.read_to_end(&mut all)).await.expect("it ends");
            let all = String::from_utf8_lossy(&all);
            assert!(
                ended.is_err() || all.contains("Content-Length: 10"),
                "a reset, not an end: {all}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_upstream() {
    let (heard, left) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let of_server = (Arc::clone(&heard), Arc::clone(&left));
    let server = Server::start(move |mut stream, number| {
        let (heard, left) = of_server.clone();
        async move {
            until(&mut stream, "\r\n\r\n").await;
            heard.add_permits(1);
            if number > 0 {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
                    .await
                    .unwrap();
            }
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            left.add_permits(1);
        }
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let gone = async || {
        timeout(SOON, left.acquire())
            .await
            .expect("the upstream is told")
            .unwrap()
            .forget();
    };
    // Before the head, in the middle of the body, in the middle of the request.
    let mut client = front.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    timeout(SOON, heard.acquire())
        .await
        .expect("it is asked")
        .unwrap()
        .forget();
    drop(client);
    gone().await;
    let mut client = front.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.until("1\r\nx\r\n").await;
    drop(client);
    gone().await;
    let mut client = front.connect().await;
    client
        .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
        .await;
    client.until("1\r\nx\r\n").await;
    drop(client);
    gone().await;
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told_so() {
    let server = stalling("").await;
    let front = Front::to(hurried(server.upstream())).await;
    let mut client = front.connect().await;
    client
        .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        .await;
    is(&client.rest().await, 408, "Request timeout");
}

#[tokio::test]
async fn an_upload_that_moves_takes_as_long_as_it_takes() {
    let server = Server::start(|mut stream, _| async move {
        until(&mut stream, "!").await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let front = Front::to(hurried(server.upstream())).await;
    let mut client = front.connect().await;
    client
        .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
        .await;
    for byte in "aaaaaaa!".chars() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.send(byte.to_string()).await;
    }
    client.until("\r\n\r\nok").await;
}

#[tokio::test]
async fn an_upstream_that_speaks_something_else_is_known_by_its_first_bytes() {
    let server = Server::start(|mut stream, _| async move {
        until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        // It waits for its own kind.
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let answer = timeout(
        SOON,
        front.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    )
    .await;
    is(&answer.unwrap(), 502, "Bad gateway");
}

/// A server whose answer is more than all buffers on the way hold, and what is told when it cannot go on.
async fn pouring() -> (Server, Arc<Semaphore>) {
    let over = Arc::new(Semaphore::new(0));
    let told = Arc::clone(&over);
    let server = Server::start(move |mut stream, _| {
        let told = Arc::clone(&told);
        async move {
            until(&mut stream, "\r\n\r\n").await;
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
            stream.write_all(head).await.unwrap();
            let part = vec![b'x'; 1 << 20];
            while stream.write_all(&part).await.is_ok() {}
            told.add_permits(1);
        }
    })
    .await;
    (server, over)
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
    let (server, over) = pouring().await;
    let front = Front::to(hurried(server.upstream())).await;
    let mut client = front.connect().await;
    client.send(GET).await;
    // It reads nothing, and stays.
    let upstream_ends = timeout(SOON, over.acquire()).await;
    upstream_ends.expect("the upstream's connection ends").unwrap().forget();
    let mut rest = Vec::new();
    let read = timeout(SOON, client.0.read_to_end(&mut rest))
        .await
        .expect("its own ends, too");
    assert!(read.is_err() || rest.len() < 1_000_000_000, "it is no whole answer");
}

#[tokio::test]
async fn over_http_2_a_client_that_makes_no_room_is_given_up() {
    let (server, over) = pouring().await;
    let front = Front::to(hurried(server.upstream())).await;
    let mut sender = connected(front.port).await;
    let request = http::Request::get("http://a/").body(()).unwrap();
    let (answer, _) = sender.send_request(request, true).unwrap();
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    timeout(SOON, over.acquire())
        .await
        .expect("the upstream's connection ends")
        .unwrap()
        .forget();
    let cut = read(answer.into_body()).await;
    assert_eq!(cut.unwrap_err().reason(), Some(h2::Reason::CANCEL));
}

#[tokio::test]
async fn a_client_that_takes_a_little_all_the_time_is_not_given_up() {
    let (server, _over) = pouring().await;
    let upstream = server.upstream();
    let front = Front::to(Upstream {
        timeouts: Timeouts {
            idle: Wait::from_secs(1),
            ..upstream.timeouts
        },
        ..upstream
    })
    .await;
    let mut client = front.connect().await;
    // What the system takes for it is little, too.
    socket2::SockRef::from(&client.0)
        .set_recv_buffer_size(64 * 1024)
        .unwrap();
    client.send(GET).await;
    client.until("\r\n\r\n").await;
    let mut part = vec![0; 8 * 1024];
    // Four times as long as it may take nothing.
    for taken in 0..200 {
        // It is the client that is slow.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let read = client.0.read_exact(&mut part).await;
        assert!(read.is_ok(), "cut off after {taken} parts: {read:?}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_100_and_then_stops_is_not_waited_for_as_a_head_is() {
    let server = stalling("").await;
    let patient = hurried(server.upstream());
    let upstream = Upstream {
        timeouts: Timeouts {
            headers: Wait::from_secs(600),
            ..patient.timeouts
        },
        ..patient
    };
    let front = Front::to(upstream).await;
    let mut client = front.connect().await;
    client
        .send("PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\nhalf")
        .await;
    let answer = timeout(SOON, client.rest()).await.expect("it is not waited for");
    is(&answer, 408, "Request timeout");
}
