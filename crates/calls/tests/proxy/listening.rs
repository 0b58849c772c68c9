//! Listeners: what is taken, what is refused, and how they end.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use calls::{
    Body,
    config::TrustedProxies,
    listen::{Address, ListenError, Listener, Peer},
};
use chassis::{lifecycle::Drain, listen::CertificateFiles};
use http::Request;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::Semaphore,
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

use crate::common::{Front, GET, OK, SOON, Server, http2::ask_2, until};

async fn bind(address: &str, tls: Option<&CertificateFiles>) -> Result<Listener, ListenError> {
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

    fn write(&self, folder: &Path) -> CertificateFiles {
        let (certificate, key) = self.issue("localhost");
        let (cert, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
        fs::write(&cert, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        CertificateFiles {
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
    let second = Authority::new();
    second.write(folder.path());
    let is_in_use = async { while second.dial(front.port, b"http/1.1", None).await.is_err() {} };
    timeout(SOON, is_in_use).await.expect("the new certificate is in use");
    assert!(first.dial(front.port, b"http/1.1", None).await.is_err());
}

#[tokio::test]
async fn who_has_shown_a_certificate_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, others) = (Authority::new(), Authority::new());
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, &authority.pem).unwrap();
    let tls = CertificateFiles {
        client_ca: Some(ca),
        ..authority.write(folder.path())
    };
    let listener = bind("https://127.0.0.1:0", Some(&tls)).await.unwrap();
    let port = listener.local().unwrap().port();
    let told =
        |_: Request<Body>, peer: Peer| async move { http::Response::new(Body::from(peer.is_certified.to_string())) };
    let drain = Drain::new();
    drain.spawn("listener", listener.run(Arc::new(told), drain.clone()));
    for (shown, said) in [
        (Some(&authority), Some("true")),
        (Some(&others), None),
        (None, Some("false")),
    ] {
        let mut answer = String::new();
        if let Ok(mut stream) = authority.dial(port, b"http/1.1", shown).await {
            let _ = stream.write_all(GET.as_bytes()).await;
            let _ = timeout(SOON, stream.read_to_string(&mut answer)).await;
        }
        assert_eq!(answer.rsplit_once("\r\n").map(|(_, body)| body), said, "{answer}");
    }
    drain.wait(Some(SOON)).await;
}

#[tokio::test]
async fn a_drain_finishes_what_is_being_answered_and_closes_the_rest() {
    let (heard, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(2)));
    let of_server = (Arc::clone(&heard), Arc::clone(&go_on));
    let server = Server::start(move |mut stream, _| {
        let (heard, go_on) = of_server.clone();
        async move {
            let mut byte = [0];
            while stream.peek(&mut byte).await.unwrap_or(0) > 0 {
                until(&mut stream, "\r\n\r\n").await;
                heard.add_permits(1);
                go_on.acquire().await.unwrap().forget();
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
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
        // The two that were answered, and the two that are under way.
        heard.acquire_many(4).await.unwrap().forget();
        drain.begin();
        go_on.add_permits(2);
        drain.wait(Some(SOON)).await
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
    let mut client = crate::common::Client(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
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
    client = crate::common::Client(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
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
    let mut client = crate::common::Client(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
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
