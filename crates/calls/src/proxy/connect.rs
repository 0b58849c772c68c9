//! Connections to an upstream.

use std::{io, sync::Arc};

use bytes::BytesMut;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

use super::address::{Place, UpstreamAddress};
use crate::{
    alarm::Alarm,
    http1::{Reader, Writer},
    socket::{self, Socket},
};

/// A connection to an upstream, between two requests.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    /// For what it waits for.
    pub(super) alarm: Alarm,
}

/// Connects.
///
/// # Cancellation
/// Dropping the future closes the connection.
pub(super) async fn open(address: &UpstreamAddress, tls: Option<&TlsConnector>) -> io::Result<Link> {
    let socket = match &address.place {
        Place::Unix(path) => Socket::Unix(UnixStream::connect(path).await?),
        Place::Tcp { host, port, .. } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            socket::prepare(&stream);
            match tls {
                None => Socket::Tcp(stream),
                Some(tls) => {
                    let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                    Socket::Tls(Box::new(tls.connect(name, stream).await?.into()))
                }
            }
        }
    };
    let (read, write) = socket.split();
    Ok(Link {
        reader: Reader::new(read, BytesMut::new()),
        writer: Writer::new(write),
        alarm: Alarm::default(),
    })
}

/// How connections are encrypted: trusting whom the system trusts.
///
/// # Errors
/// Nobody is trusted.
pub(super) fn encryption() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(format!(
            "the system has no authorities that could be trusted: {}",
            why.join(", ")
        ));
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
