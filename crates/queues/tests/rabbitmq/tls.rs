//! `amqps:`, with an authority of our own and a certificate for the client.

use std::{fs, path::Path};

use queues::{
    Queue, QueueError,
    rabbitmq::{RabbitOptions, TlsFiles},
};
use rabbit_node::{Node, Settings, Tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::bench::{consume, declare, open, options, put, take};

/// Writes an authority and a certificate of its own for `localhost`, which serves both sides.
fn certificates(folder: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "the tests' authority");
    let key = KeyPair::generate().unwrap();
    fs::write(folder.join("ca.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let mut certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    certificate.distinguished_name.push(DnType::CommonName, "localhost");
    let certificate = certificate.signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_line_needs_the_authority_and_where_asked_a_certificate_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name);
    let settings = Settings::default().tls(Tls {
        ca: file("ca.pem"),
        certificate: file("cert.pem"),
        key: file("key.pem"),
        client_certificate: true,
    });
    let node = Node::start(&file("node"), &settings).unwrap();
    let url = node.tls_url().unwrap();
    let with = |tls: TlsFiles| RabbitOptions { tls, ..options() };

    let whole = with(TlsFiles {
        ca: Some(file("ca.pem")),
        cert: Some(file("cert.pem")),
        key: Some(file("key.pem")),
    });
    let queue = open(&url, &whole);
    let name = declare(&queue, &whole, "work").await;
    put(&queue, &name, "secret").await;
    let mut consumer = consume(&queue, &name, 1).await;
    let delivery = take(&mut consumer).await;
    assert_eq!(delivery.body(), "secret");
    delivery.settle(queues::Settle::Done).await.unwrap();
    queue.close().await;

    let stranger = with(TlsFiles::default());
    let queue = open(&url, &stranger);
    let said = queue.declare(&[]).await.unwrap_err().to_string();
    assert!(said.contains("rabbitmq.tls.ca"), "{said}");
    queue.close().await;

    let half = with(TlsFiles {
        ca: Some(file("ca.pem")),
        cert: Some(file("cert.pem")),
        key: None,
    });
    let error = open(&url, &half).declare(&[]).await.unwrap_err();
    assert!(matches!(error, QueueError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("rabbitmq.tls.key"), "{error}");

    let nowhere = with(TlsFiles {
        ca: Some(file("no.pem")),
        ..TlsFiles::default()
    });
    let said = open(&url, &nowhere).declare(&[]).await.unwrap_err().to_string();
    assert!(said.contains("no.pem"), "{said}");
}
