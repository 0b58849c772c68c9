//! Spans on their way to a collector behind `https`.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use chassis::{
    lifecycle::{Drain, Outcome},
    telemetry::{
        Exposition, Metrics,
        traces::{Span, SpanKind, Tracer},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};
use wire::TraceId;

/// A certificate for `localhost` that vouches for itself, written to a file too.
fn certificate(path: &Path) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(path, made.cert.pem()).expect("a file can be written");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a key that fits");
    TlsAcceptor::from(Arc::new(config))
}

/// Takes one request and answers 200; gives the request's head, if the handshake came about.
async fn collect(listener: TcpListener, acceptor: TlsAcceptor) -> Option<String> {
    let (stream, _) = listener.accept().await.expect("a connection");
    let mut stream = acceptor.accept(stream).await.ok()?;
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.expect("a request");
        let text = String::from_utf8_lossy(&bytes);
        let length = text
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next());
        let length: Option<usize> = length.and_then(|length| length.parse().ok());
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let (Some(head), Some(length)) = (head, length)
            && bytes.len() >= head + 4 + length
        {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .expect("an answer");
            return Some(String::from_utf8_lossy(&bytes[..head]).into_owned());
        }
    }
}

/// Exports one span to a collector whose certificate is `own`, trusting `trusted`.
async fn export(own: TlsAcceptor, trusted: &Path) -> (Option<String>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let environment = BTreeMap::from(
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://localhost:{port}")),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", trusted.display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let (drain, metrics) = (Drain::new(), Metrics::new());
    let collector = Drain::new();
    let collected = collector.spawn("collector", collect(listener, own));
    let tracer = Tracer::from_environment(&environment, &metrics, &drain);
    let place = Arc::new(tracer.place(None, || TraceId::new(7)));
    assert!(tracer.records(&place));
    let now = SystemTime::now();
    tracer.finish(Span {
        place,
        parent: None,
        name: "clean".into(),
        kind: SpanKind::Consumer,
        start: now,
        end: now,
        attributes: Vec::new(),
        events: Vec::new(),
        failure: None,
    });
    assert_eq!(drain.wait(None).await, Outcome::Finished);
    // The exporter has ended: what it had to say is on its way, or nothing is.
    let head = timeout(Duration::from_secs(20), collected.join()).await;
    let head = head.expect("the collector was asked").expect("it ends");
    (head, metrics.encode(Exposition::Prometheus))
}

#[tokio::test]
async fn spans_go_to_a_collector_whose_authority_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    let (head, metrics) = export(certificate(&path), &path).await;
    let head = head.expect("it was reached");
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    assert!(metrics.contains("sidecar_spans_exported_total 1\n"), "{metrics}");
}

#[tokio::test]
async fn a_collector_that_nobody_vouches_for_gets_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (own, other) = (folder.path().join("own.pem"), folder.path().join("other.pem"));
    let own = certificate(&own);
    certificate(&other);
    let (head, metrics) = export(own, &other).await;
    assert_eq!(head, None);
    assert!(
        metrics.contains("sidecar_spans_dropped_total{reason=\"unreachable\"} 1\n"),
        "{metrics}"
    );
}
