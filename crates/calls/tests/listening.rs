//! Listeners: what is taken, what is refused, and how they end.
#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod common;

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use calls::{
    Body,
    config::TrustedProxies,
    listen::{Address, ListenError, Listener, Tls},
};
use common::{Front, GET, OK, SOON, Server, until};
use http::Request;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{PrivateKeyDer, ServerName},
    },
};

async fn bind(address: &str, tls: Option<&Tls>) -> Result<Listener, ListenError> {
    Listener::bind(&address.parse::<Address>().unwrap(), tls).await
}

#[tokio::test]
async fn what_is_too_large_has_its_status() {
    let server = Server::saying(OK).await;
    let front = Front::to(server.upstream()).await;
    let fields = |count: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{}\r\n",
            "X: y\r\n".repeat(count)
        )
    };
    for (request, status) in [
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(16 * 1024)),
            "414",
        ),
        (
            format!(
                "GET /{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                "x".repeat(16 * 1024 - 1)
            ),
            "200",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(65 * 1024)),
            "431",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: {}\r\n\r\n",
                "x".repeat(63 * 1024)
            ),
            "200",
        ),
        (fields(300), "431"),
        (fields(254), "200"),
    ] {
        let answer = front.ask(&request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{}: {}",
            request.len(),
            &answer[..answer.len().min(300)]
        );
    }
}

#[tokio::test]
async fn a_unix_socket_is_for_this_user_and_replaces_a_stale_one_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.sock");
    let url = format!("http+unix://{}", path.display());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = bind(&url, None).await.expect("a stale file is replaced");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(bind(&url, None).await, Err(ListenError::Live { .. })));
    let server = Server::saying(OK).await;
    let front = Front::on(listener, server.upstream(), TrustedProxies::default());
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(GET.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, client.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    front.drain.wait(Some(SOON)).await;
    assert!(!path.exists(), "the file goes with its listener");
    fs::write(&path, "no socket").unwrap();
    assert!(matches!(bind(&url, None).await, Err(ListenError::Bind { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "no socket");
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate and its key.
    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        (certificate, key)
    }

    fn write(&self, folder: &Path) -> Tls {
        let (certificate, key) = self.issue("localhost");
        let (cert, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
        fs::write(&cert, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        Tls {
            cert,
            key: key_file,
            client_ca: None,
        }
    }

    async fn dial(&self, port: u16, alpn: &[u8], shown: Option<&Authority>) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let pem = self.pem.as_bytes();
        let parsed: Vec<_> = tokio_rustls::rustls::pki_types::pem::PemObject::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .unwrap();
        roots.add_parsable_certificates(parsed);
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let (certificate, key) = authority.issue("client");
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder
                    .with_client_auth_cert(vec![certificate.der().clone()], key)
                    .unwrap()
            }
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from("localhost").unwrap(), stream)
            .await
    }
}

#[tokio::test]
async fn tls_speaks_both_versions_and_a_changed_certificate_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let first = Authority::new();
    let tls = first.write(folder.path());
    assert!(matches!(
        bind("https://127.0.0.1:0", None).await,
        Err(ListenError::Certificate { .. })
    ));
    let listener = bind("https://127.0.0.1:0", Some(&tls)).await.unwrap();
    let server = Server::saying(OK).await;
    let front = Front::on(listener, server.upstream(), TrustedProxies::default());
    let mut stream = first.dial(front.port, b"http/1.1", None).await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    let stream = first.dial(front.port, b"h2", None).await.unwrap();
    let (status, body) = ask_2(stream, Request::get("https://localhost/").body(()).unwrap(), None).await;
    assert_eq!((status, body.as_str()), (200, "ok"));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let second = Authority::new();
    second.write(folder.path());
    second
        .dial(front.port, b"http/1.1", None)
        .await
        .expect("the new certificate is in use");
    assert!(first.dial(front.port, b"http/1.1", None).await.is_err());
}

#[tokio::test]
async fn clients_show_a_certificate_where_they_have_to() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, others) = (Authority::new(), Authority::new());
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, &authority.pem).unwrap();
    let tls = Tls {
        client_ca: Some(ca),
        ..authority.write(folder.path())
    };
    let server = Server::saying(OK).await;
    let listener = bind("https://127.0.0.1:0", Some(&tls)).await.unwrap();
    let front = Front::on(listener, server.upstream(), TrustedProxies::default());
    for (shown, is_let_in) in [(Some(&authority), true), (Some(&others), false), (None, false)] {
        let mut answer = String::new();
        if let Ok(mut stream) = authority.dial(front.port, b"http/1.1", shown).await {
            let _ = stream.write_all(GET.as_bytes()).await;
            let _ = timeout(SOON, stream.read_to_string(&mut answer)).await;
        }
        assert_eq!(answer.ends_with("ok"), is_let_in, "{answer}");
    }
}

/// One request over HTTP/2: its status and body.
async fn ask_2<S>(stream: S, request: Request<()>, body: Option<&'static str>) -> (u16, String)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    drive(connection);
    let mut sender = sender.ready().await.unwrap();
    let (answer, mut sending) = sender.send_request(request, body.is_none()).unwrap();
    if let Some(body) = body {
        sending.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
    }
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    let status = answer.status().as_u16();
    (
        status,
        String::from_utf8(read(answer.into_body()).await.unwrap()).unwrap(),
    )
}

#[expect(clippy::disallowed_methods, reason = "a test ends with its runtime")]
fn drive<S>(connection: h2::client::Connection<S>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let _ = connection.await;
    });
}

async fn read(mut body: h2::RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = timeout(SOON, body.data()).await.expect("the body does not end") {
        let data = data?;
        body.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    Ok(all)
}

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
        tokio::time::sleep(Duration::from_millis(100)).await;
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
    let stream = TcpStream::connect(("127.0.0.1", front.port)).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    drive(connection);
    let mut sender = sender.ready().await.unwrap();
    let request = Request::post("http://a:1/x?y")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(())
        .unwrap();
    let (mut answer, mut body) = sender.send_request(request, false).unwrap();
    body.send_data("hello".into(), false).unwrap();
    body.send_trailers([("x-sum".parse().unwrap(), "1".parse().unwrap())].into_iter().collect())
        .unwrap();
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
    let stream = TcpStream::connect(("127.0.0.1", front.port)).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    drive(connection);
    let mut sender = sender.ready().await.unwrap();
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
    let stream = TcpStream::connect(("127.0.0.1", front.port)).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    drive(connection);
    let mut sender = sender.ready().await.unwrap();
    let (answer, mut sending) = sender
        .send_request(Request::get("http://a/").body(()).unwrap(), false)
        .unwrap();
    tell.recv().await.unwrap();
    sending.send_reset(h2::Reason::CANCEL);
    timeout(SOON, tell.recv()).await.expect("the upstream is told").unwrap();
    drop(answer);
}

#[tokio::test]
async fn a_drain_finishes_what_is_being_answered_and_closes_the_rest() {
    let server = Server::start(|mut stream, _| async move {
        let mut byte = [0];
        while stream.peek(&mut byte).await.unwrap_or(0) > 0 {
            until(&mut stream, "\r\n\r\n").await;
            tokio::time::sleep(Duration::from_millis(400)).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let (mut busy, mut idle) = (front.connect().await, front.connect().await);
    let two = TcpStream::connect(("127.0.0.1", front.port)).await.unwrap();
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    idle.until("\r\n\r\nok").await;
    busy.until("\r\n\r\nok").await;
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let get = Request::get("http://a/").body(()).unwrap();
    let drain = front.drain.clone();
    let (answer, over_2, outcome) = tokio::join!(busy.rest(), ask_2(two, get, None), async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let begun = std::time::Instant::now();
        let outcome = drain.wait(Some(SOON)).await;
        assert!(begun.elapsed() < Duration::from_secs(5));
        outcome
    });
    assert!(
        answer.contains("Connection: close\r\n") && answer.ends_with("\r\n\r\nok"),
        "{answer}"
    );
    assert_eq!(over_2, (200, "ok".to_owned()));
    assert_eq!(idle.rest().await, "");
    assert_eq!(outcome, chassis::lifecycle::Outcome::Finished);
    assert!(TcpStream::connect(("127.0.0.1", front.port)).await.is_err());
}

#[tokio::test]
async fn a_handler_that_does_not_read_the_body_has_its_answer_heard() {
    let drain = chassis::lifecycle::Drain::new();
    let listener = bind("http://127.0.0.1:0", None).await.unwrap();
    let Address::Tcp { port, .. } = listener.address() else {
        unreachable!()
    };
    let handle = |request: http::Request<Body>, _| async move {
        drop(request);
        http::Response::builder()
            .status(413)
            .body(Body::from("too much"))
            .unwrap()
    };
    drain.spawn("listener", listener.run(Arc::new(handle), drain.clone()));
    let mut client = common::Client(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n{}",
            "x".repeat(500_000)
        ))
        .await;
    let answer = client.rest().await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.ends_with("too much"),
        "{answer}"
    );
    client = common::Client(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .await;
    assert!(
        client.rest().await.starts_with("HTTP/1.1 413 "),
        "no 100 for what is not read"
    );
}

#[tokio::test]
async fn a_handler_that_reads_the_body_lets_the_client_go_on() {
    let drain = chassis::lifecycle::Drain::new();
    let listener = bind("http://127.0.0.1:0", None).await.unwrap();
    let Address::Tcp { port, .. } = listener.address() else {
        unreachable!()
    };
    let handle = |request: http::Request<Body>, _| async move {
        let body = http_body_util::BodyExt::collect(request.into_body()).await.unwrap();
        http::Response::new(Body::from(body.to_bytes()))
    };
    drain.spawn("listener", listener.run(Arc::new(handle), drain.clone()));
    let mut client = common::Client(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .await;
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello").await;
    client.until("\r\n\r\nhello").await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
        .await;
    let answer = client.until("\r\n\r\nhello").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK"),
        "who sends at once waits for nothing: {answer}"
    );
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
    let stream = TcpStream::connect(("127.0.0.1", front.port)).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    drive(connection);
    let mut sender = sender.ready().await.unwrap();
    let put = Request::put("http://a/")
        .header("expect", "100-continue")
        .header("content-length", "5");
    let (mut answer, mut body) = sender.send_request(put.body(()).unwrap(), false).unwrap();
    let said = timeout(SOON, std::future::poll_fn(|cx| answer.poll_informational(cx))).await;
    assert_eq!(said.unwrap().unwrap().unwrap().status(), 100);
    body.send_data("hello".into(), true).unwrap();
    assert_eq!(read(answer.await.unwrap().into_body()).await.unwrap(), b"ok");
}
