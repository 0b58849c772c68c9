//! What goes through the proxy is what came.

use std::{sync::Arc, time::Duration};

use calls::config::{HostHeader, TrustedProxies, Upstream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
};

use crate::common::{Front, GET, OK, Server, until};

/// Answers with the request's own head as the body.
async fn mirror() -> Server {
    Server::start(|mut stream, _| async move {
        loop {
            let mut byte = [0];
            if stream.peek(&mut byte).await.unwrap_or(0) == 0 {
                return;
            }
            let head = until(&mut stream, "\r\n\r\n").await;
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await
}

fn has_line(text: &str, line: &str) -> bool {
    text.split("\r\n").any(|own| own == line)
}

#[tokio::test]
async fn headers_keep_their_case_and_the_order_of_their_values() {
    let server = mirror().await;
    let front = Front::to(server.upstream()).await;
    let seen = front
        .ask("GET /a/../b%2F?x=%20 HTTP/1.1\r\nhOsT: a:1\r\nX-OWN: 1\r\nx-own: 2\r\nAccept: */*\r\nX-Own: 3\r\nConnection: close\r\n\r\n")
        .await;
    assert!(
        seen.contains(
            "GET /a/../b%2F?x=%20 HTTP/1.1\r\nhOsT: a:1\r\nX-OWN: 1\r\nx-own: 2\r\nX-Own: 3\r\nAccept: */*\r\n"
        ),
        "{seen}"
    );
    let server = Server::saying(
        "HTTP/1.1 299 So So\r\nSET-cookie: a\r\ncontent-LENGTH: 0\r\nSet-Cookie: b\r\nServer: x\r\nDate: y\r\n\r\n",
    )
    .await;
    let front = Front::to(server.upstream()).await;
    let answer = front.ask(GET).await;
    let wanted = "HTTP/1.1 299 So So\r\nSET-cookie: a\r\nSet-Cookie: b\r\ncontent-LENGTH: 0\r\nServer: x\r\nDate: y\r\nConnection: close\r\n\r\n";
    assert_eq!(answer, wanted);
}

#[tokio::test]
async fn what_is_of_a_connection_stays_behind_and_ours_is_added() {
    let server = mirror().await;
    let front = Front::to(server.upstream()).await;
    let seen = front
        .ask(
            "GET / HTTP/1.1\r\nHost: a:1\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n\
             Proxy-Authorization: x\r\nTE: gzip, trailers\r\nUpgrade: h2c\r\nX-Forwarded-By: me\r\nX-Forst-Sidecar: no\r\n\
             X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=1.2.3.4\r\n\
             traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nAuthorization: Bearer x\r\n\r\n",
        )
        .await;
    for gone in [
        "X-Hop",
        "Keep-Alive",
        "Proxy-",
        "Upgrade",
        "Connection: ",
        "gzip",
        "evil",
        "X-Forwarded-By: me",
        "b7ad6b7169203331",
    ] {
        let body = seen.split_once("\r\n\r\n").unwrap().1;
        assert!(!body.contains(gone), "{gone}: {body}");
    }
    for line in [
        "TE: trailers",
        "X-Forst-Sidecar: true",
        "X-Forwarded-By: forst-proxy",
        "X-Forwarded-For: 1.2.3.4, 127.0.0.1",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: a:1",
        "Forwarded: for=1.2.3.4, for=127.0.0.1;host=\"a:1\";proto=http",
        "Authorization: Bearer x",
        "Host: a:1",
    ] {
        assert!(has_line(&seen, line), "{line}: {seen}");
    }
    assert!(
        seen.contains("traceparent: 00-0af7651916cd43dd8448eb211c80319c-"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_an_upstream_may_get_its_own_host() {
    let server = mirror().await;
    let upstream = Upstream {
        host: HostHeader::Upstream,
        urls: vec![format!("{}/base/", server.url())],
        ..server.upstream()
    };
    let trusted = TrustedProxies(vec!["127.0.0.0/8".parse().unwrap()]);
    let front = Front::trusting(upstream, trusted).await;
    let seen = front
        .ask("GET /x HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nConnection: close\r\n\r\n")
        .await;
    for line in [
        &format!("Host: 127.0.0.1:{}", server.port),
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: b",
    ] {
        assert!(has_line(&seen, line), "{line}: {seen}");
    }
    assert!(seen.contains("GET /base/x HTTP/1.1"));
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let server = Server::start(|mut stream, number| async move {
        loop {
            let mut byte = [0];
            if stream.peek(&mut byte).await.unwrap_or(0) == 0 {
                return;
            }
            until(&mut stream, "\r\n\r\n").await;
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut client = front.connect().await;
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(client.until("\r\n\r\n0").await.starts_with("HTTP/1.1 200 OK"));
    }
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(
        client.rest().await.matches("\r\n\r\n0").count(),
        2,
        "pipelined requests are answered in order"
    );
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let server = Server::start(|mut stream, _| async move {
        let request = until(&mut stream, "0\r\nx-sum: 1\r\n\r\n").await;
        assert!(request.contains("Transfer-Encoding: chunked") && request.contains("Trailer: X-Sum"), "{request}");
        assert!(request.contains("5\r\nhello\r\n"), "{request}");
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Own\r\n\r\n3\r\nabc\r\n0\r\nX-Own: 2\r\nX-More: 3\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let answer = front
        .ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
        .await;
    assert!(
        answer.ends_with("\r\n\r\n3\r\nabc\r\n0\r\nx-own: 2\r\nx-more: 3\r\n\r\n"),
        "{answer}"
    );
    assert!(answer.contains("Trailer: X-Own"));
}

#[tokio::test]
async fn hints_come_before_the_answer() {
    let seen = Arc::new(Semaphore::new(0));
    let of_server = Arc::clone(&seen);
    let server = Server::start(move |mut stream, _| {
        let seen = Arc::clone(&of_server);
        async move {
            until(&mut stream, "\r\n\r\n").await;
            let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
            stream.write_all(hints.as_bytes()).await.unwrap();
            // The answer is not even there while they are read.
            seen.acquire().await.unwrap().forget();
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut client = front.connect().await;
    client.send(GET).await;
    let hints = client.until("HTTP/1.1 102 Processing\r\n\r\n").await;
    assert_eq!(
        hints,
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    );
    seen.add_permits(2);
    assert!(client.rest().await.ends_with("\r\n\r\nok"));
    let old = front.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.1 200 OK"), "HTTP/1.0 knows no hints: {old}");
}

const EXPECTING: &str = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

#[tokio::test]
async fn a_client_may_go_on_when_the_upstream_says_so() {
    let server = Server::start(|mut stream, _| async move {
        let head = until(&mut stream, "\r\n\r\n").await;
        assert!(head.contains("Expect: 100-continue"));
        let mut early = [0];
        assert!(
            tokio::time::timeout(Duration::from_millis(250), stream.read(&mut early))
                .await
                .is_err(),
            "no body yet"
        );
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        until(&mut stream, "hello").await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut client = front.connect().await;
    client.send(EXPECTING).await;
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), client.0.peek(&mut byte)).await;
    assert!(early.is_err(), "nobody but the upstream says 100");
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello").await;
    client.until("\r\n\r\nok").await;
    client.send(EXPECTING).await;
    client.until("100 Continue\r\n\r\n").await;
    client.send("hello").await;
    client.until("\r\n\r\nok").await;
}

#[tokio::test]
async fn an_upstream_may_refuse_before_the_body_and_a_client_may_send_it_anyway() {
    let server = Server::saying("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n").await;
    let front = Front::to(server.upstream()).await;
    let mut client = front.connect().await;
    client.send(EXPECTING).await;
    let answer = client.rest().await;
    assert!(
        answer.starts_with("HTTP/1.1 417 No\r\n") && answer.contains("Connection: close"),
        "{answer}"
    );

    let server = Server::start(|mut stream, _| async move {
        until(&mut stream, "hello").await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut client = front.connect().await;
    client.send(EXPECTING).await;
    client.send("hello").await;
    assert!(client.until("\r\n\r\nok").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let server = Server::start(|mut stream, _| async move {
        loop {
            let mut byte = [0];
            if stream.peek(&mut byte).await.unwrap_or(0) == 0 {
                return;
            }
            let head = until(&mut stream, "\r\n\r\n").await;
            let answer = if head.starts_with("HEAD") {
                "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
            } else if head.contains("/204") {
                "HTTP/1.1 204 No Content\r\n\r\n"
            } else {
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: x\r\n\r\n"
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut client = front.connect().await;
    for (request, length) in [("HEAD /", true), ("GET /204", false), ("GET /304", true)] {
        client.send(format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let head = client.until("\r\n\r\n").await;
        assert_eq!(head.contains("Content-Length: 500"), length, "{head}");
        assert!(!head.contains("Transfer-Encoding"), "{head}");
    }
}

#[tokio::test]
async fn an_upstream_of_http_1_0_ends_its_body_with_the_connection() {
    let server = Server::saying("HTTP/1.0 200 OK\nServer: old\n\nto the end").await;
    let front = Front::to(server.upstream()).await;
    let answer = front.ask(GET).await;
    assert!(answer.ends_with("a\r\nto the end\r\n0\r\n\r\n"), "{answer}");
    let answer = front.ask("GET / HTTP/1.0\r\n\r\n").await;
    assert!(
        answer.contains("Connection: close") && answer.ends_with("\r\n\r\nto the end"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_websocket_passes() {
    let server = Server::start(|mut stream, _| async move {
        let head = until(&mut stream, "\r\n\r\n").await;
        assert!(head.contains("Connection: Upgrade\r\nUpgrade: websocket\r\n"), "{head}");
        assert!(head.contains("Sec-WebSocket-Key: x"));
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: y\r\n\r\nhi";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.unwrap();
        stream.write_all(&said).await.unwrap();
        assert_eq!(stream.read(&mut said).await.unwrap(), 0, "the client's end is passed on");
        stream.write_all(b"bye").await.unwrap();
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut client = front.connect().await;
    client
        .send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\nhello")
        .await;
    let head = client.until("\r\n\r\n").await;
    assert!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n") && head.contains("Sec-WebSocket-Accept: y"),
        "{head}"
    );
    assert!(
        head.to_ascii_lowercase().contains("connection: upgrade")
            && head.to_ascii_lowercase().contains("upgrade: websocket")
    );
    assert_eq!(client.until("hello").await, "hihello");
    client.0.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "bye");
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_is_whole() {
    let server = Server::start(|mut stream, _| async move {
        until(&mut stream, "one").await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nONE\r\n")
            .await
            .unwrap();
        until(&mut stream, "two").await;
        stream.write_all(b"3\r\nTWO\r\n0\r\n\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut client = front.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        .await;
    client.until("3\r\nONE\r\n").await;
    client.send("3\r\ntwo\r\n0\r\n\r\n").await;
    client.until("3\r\nTWO\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn an_upstream_may_answer_first_and_read_the_request_then() {
    let (told, mut tell) = tokio::sync::mpsc::channel(1);
    let server = Server::start(move |mut stream, _| {
        let told = told.clone();
        async move {
            until(&mut stream, "\r\n\r\n").await;
            stream.write_all(OK.as_bytes()).await.unwrap();
            told.send(until(&mut stream, "the end").await).await.unwrap();
        }
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut client = front.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\nbegin")
        .await;
    client.until("\r\n\r\nok").await;
    client.send("    the end").await;
    assert_eq!(tell.recv().await.unwrap(), "begin    the end");
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    client.until("\r\n\r\nok").await;
}
