//! What goes through the proxy from clients of HTTP/2.

use std::sync::Arc;

use calls::{
    Body,
    listen::{Listener, Peer},
};
use chassis::lifecycle::Drain;
use http::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::common::{
    Front, OK, SOON, Server,
    http2::{ask_2, connected, read},
    until,
};

#[tokio::test]
async fn http_2_without_tls_carries_hints_trailers_cookies_and_large_bodies() {
    let server = Server::start(|mut stream, _| async move {
        let head = until(&mut stream, "\r\n\r\n").await;
        assert!(
            head.starts_with("POST /x?y HTTP/1.1\r\n") && head.contains("host: a:1\r\n"),
            "{head}"
        );
        assert!(
            head.contains("cookie: a=1; b=2\r\n") && head.contains("Transfer-Encoding: chunked\r\n"),
            "{head}"
        );
        until(&mut stream, "0\r\nx-sum: 1\r\n\r\n").await;
        stream
            .write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            .await
            .unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: 5\r\n\r\n")
            .await
            .unwrap();
        let large = vec![b'x'; 1_000_000];
        stream
            .write_all(format!("{:x}\r\n", large.len()).as_bytes())
            .await
            .unwrap();
        stream.write_all(&large).await.unwrap();
        stream.write_all(b"\r\n0\r\nX-End: 2\r\n\r\n").await.unwrap();
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut sender = connected(front.port).await;
    let request = Request::post("http://a:1/x?y")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(())
        .unwrap();
    let (mut answer, mut body) = sender.send_request(request, false).unwrap();
    body.send_data("hello".into(), false).unwrap();
    // What frames a message, or says whose it is, stands in its head alone: the end of a body may not say it anew.
    let trailers = [
        ("content-length", "99"),
        ("x-sum", "1"),
        ("host", "b"),
        ("authorization", "x"),
    ];
    let trailers = trailers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    body.send_trailers(trailers.into_iter().collect()).unwrap();
    let hint = std::future::poll_fn(|cx| answer.poll_informational(cx))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (hint.status().as_u16(), &hint.headers()["link"]),
        (103, &"</a>".parse::<http::HeaderValue>().unwrap())
    );
    let answer = answer.await.unwrap();
    assert!(!answer.headers().contains_key("keep-alive"));
    let mut body = answer.into_body();
    let mut length = 0;
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        length += data.len();
    }
    assert_eq!(length, 1_000_000);
    assert_eq!(body.trailers().await.unwrap().unwrap()["x-end"], "2");
}

#[tokio::test]
async fn over_http_2_what_breaks_off_resets_its_stream_alone() {
    let server = Server::start(|mut stream, number| async move {
        until(&mut stream, "\r\n\r\n").await;
        let answer: &[u8] = if number == 0 {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        } else {
            OK.as_bytes()
        };
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut sender = connected(front.port).await;
    let get = || Request::get("http://a/").body(()).unwrap();
    let (answer, _) = sender.send_request(get(), true).unwrap();
    let error = match answer.await {
        Ok(answer) => read(answer.into_body()).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
    let mut sender = sender.ready().await.unwrap();
    let (answer, _) = sender.send_request(get(), true).unwrap();
    assert_eq!(read(answer.await.unwrap().into_body()).await.unwrap(), b"ok");
}

#[tokio::test]
async fn over_http_2_two_hosts_and_other_methods_are_refused() {
    let server = Server::saying(OK).await;
    let front = Front::to(server.upstream()).await;
    let connect = async || TcpStream::connect(("127.0.0.1", front.port)).await.unwrap();
    let (status, _) = ask_2(
        connect().await,
        Request::get("http://a/").header("host", "b").body(()).unwrap(),
        None,
    )
    .await;
    assert_eq!(status, 400);
    let (status, _) = ask_2(connect().await, Request::trace("http://a/").body(()).unwrap(), None).await;
    assert_eq!(status, 405);
    let many = (0..300).fold(Request::get("http://a/"), |request, number| request.header("x", number));
    let (status, _) = ask_2(connect().await, many.body(()).unwrap(), None).await;
    assert_eq!(status, 431);
    let long = format!("http://a/{}", "x".repeat(17_000));
    let (status, _) = ask_2(connect().await, Request::get(long).body(()).unwrap(), None).await;
    assert_eq!(status, 414);
    let put = Request::put("http://a/")
        .header("expect", "100-continue")
        .header("content-length", "0")
        .body(())
        .unwrap();
    assert_eq!(ask_2(connect().await, put, None).await.0, 200);
}

#[tokio::test]
async fn a_client_that_resets_its_stream_cancels_the_upstream() {
    let (told, mut tell) = tokio::sync::mpsc::channel(1);
    let server = Server::start(move |mut stream, _| {
        let told = told.clone();
        async move {
            until(&mut stream, "\r\n\r\n").await;
            told.send(()).await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            told.send(()).await.unwrap();
        }
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut sender = connected(front.port).await;
    let (answer, mut sending) = sender
        .send_request(Request::get("http://a/").body(()).unwrap(), false)
        .unwrap();
    tell.recv().await.unwrap();
    sending.send_reset(h2::Reason::CANCEL);
    timeout(SOON, tell.recv()).await.expect("the upstream is told").unwrap();
    drop(answer);
}

#[tokio::test]
async fn over_http_2_too_the_client_goes_on_when_the_upstream_says_so() {
    let server = Server::start(|mut stream, _| async move {
        let head = until(&mut stream, "\r\n\r\n").await;
        assert!(
            head.contains("expect: 100-continue\r\n") && head.contains("content-length: 5\r\n"),
            "{head}"
        );
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        until(&mut stream, "hello").await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let mut sender = connected(front.port).await;
    let put = Request::put("http://a/")
        .header("expect", "100-continue")
        .header("content-length", "5");
    let (mut answer, mut body) = sender.send_request(put.body(()).unwrap(), false).unwrap();
    let said = timeout(SOON, std::future::poll_fn(|cx| answer.poll_informational(cx))).await;
    assert_eq!(said.unwrap().unwrap().unwrap().status(), 100);
    body.send_data("hello".into(), true).unwrap();
    assert_eq!(read(answer.await.unwrap().into_body()).await.unwrap(), b"ok");
}

/// A listener that answers 413 without a look at the body, and what serves it.
async fn refusing() -> (u16, Drain) {
    let listener = Listener::bind(&"http://127.0.0.1:0".parse().unwrap(), None)
        .await
        .unwrap();
    let port = listener.local().unwrap().port();
    let early = |request: Request<Body>, _: Peer| async move {
        drop(request);
        Response::builder().status(413).body(Body::from("too large")).unwrap()
    };
    let drain = Drain::new();
    drain.spawn("listener", listener.run(Arc::new(early), drain.clone()));
    (port, drain)
}

#[tokio::test]
async fn over_http_2_who_is_still_sending_has_its_answer_and_sends_to_the_end() {
    let (port, drain) = refusing().await;
    let mut sender = connected(port).await;
    let (answer, mut sending) = sender
        .send_request(Request::post("http://a/").body(()).unwrap(), false)
        .unwrap();
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(read(answer.into_body()).await.unwrap(), b"too large");
    let mut left = 3_000_000;
    while left > 0 {
        sending.reserve_capacity(left);
        let room = timeout(SOON, std::future::poll_fn(|cx| sending.poll_capacity(cx))).await;
        let room = room.unwrap().expect("the stream is not reset").unwrap().min(left);
        left -= room;
        sending.send_data(vec![0; room].into(), left == 0).unwrap();
    }
    let (answer, _) = sender
        .send_request(Request::get("http://a/").body(()).unwrap(), true)
        .unwrap();
    assert_eq!(timeout(SOON, answer).await.unwrap().unwrap().status(), 413);
    drain.wait(Some(SOON)).await;
}

#[tokio::test]
async fn over_http_2_who_stops_sending_is_asked_for_no_more() {
    let (port, drain) = refusing().await;
    let mut sender = connected(port).await;
    let upload = Request::post("http://a/").header("content-length", "12000000");
    let (answer, mut sending) = sender.send_request(upload.body(()).unwrap(), false).unwrap();
    sending.send_data(vec![0; 60_000].into(), false).unwrap();
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(read(answer.into_body()).await.unwrap(), b"too large");
    let reset = timeout(SOON, std::future::poll_fn(|cx| sending.poll_reset(cx))).await;
    assert_eq!(reset.unwrap().unwrap(), h2::Reason::NO_ERROR);
    drain.wait(Some(SOON)).await;
}
