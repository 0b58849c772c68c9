//! Takes connections on one address.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use chassis::{
    lifecycle::Drain,
    listen::{Certificate, CertificateFiles, Shortage, SocketFile, bind_unix},
};
use http::{Request, Response};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tracing::debug;

use super::{
    Address, Origin, Peer,
    doorway::{self, Guest},
};
use crate::{Body, socket};

/// Answers requests; a function `Fn(Request<Body>, Peer) -> impl Future<Output = Response<Body>>` is one.
pub trait Handle: Send + Sync + 'static {
    /// Answers a request.
    ///
    /// # Cancellation
    /// The future is dropped when the client leaves, or the drain is cut: what was begun for it ends.
    fn handle(&self, request: Request<Body>, peer: Peer) -> impl Future<Output = Response<Body>> + Send;
}

impl<F, A> Handle for F
where
    F: Fn(Request<Body>, Peer) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send,
{
    fn handle(&self, request: Request<Body>, peer: Peer) -> impl Future<Output = Response<Body>> + Send {
        self(request, peer)
    }
}

/// A bound address.
#[derive(Debug)]
pub struct Listener {
    address: Address,
    door: Door,
    certificate: Option<Arc<Certificate>>,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The system refuses.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: Address,
        /// What it says.
        #[source]
        source: io::Error,
    },
    /// Another process listens on the socket.
    #[error("cannot listen on {address}: another process does")]
    Live {
        /// The address.
        address: Address,
    },
    /// The certificate is missing, or none.
    #[error("cannot listen on {address}: {why}")]
    Certificate {
        /// The address.
        address: Address,
        /// What is wrong with which file.
        why: String,
    },
}

#[derive(Debug)]
enum Door {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

/// Connections that wait to be taken, at most; the system may allow fewer.
const BACKLOG: i32 = 16_384;
/// How long a connection may be silent before the system asks whether its other end is still there.
const KEEPALIVE: Duration = Duration::from_mins(1);

impl Listener {
    /// Binds an address; one that is encrypted needs `tls`.
    pub async fn bind(address: &Address, tls: Option<&CertificateFiles>) -> Result<Self, ListenError> {
        let bad = |source| ListenError::Bind {
            address: address.clone(),
            source,
        };
        let (door, certificate) = match address {
            Address::Unix(path) => {
                let (listener, file) = bind_unix(path).map_err(|source| match source.kind() {
                    io::ErrorKind::AddrInUse => ListenError::Live {
                        address: address.clone(),
                    },
                    _ => bad(source),
                })?;
                (Door::Unix { listener, _file: file }, None)
            }
            Address::Tcp {
                host,
                port,
                is_encrypted,
            } => {
                let certificate = if *is_encrypted {
                    Some(certificate(tls, address)?)
                } else {
                    None
                };
                let listener = TcpListener::bind((host.as_str(), *port)).await.map_err(bad)?;
                // Whoever finds it full tries again after a second, or more.
                SockRef::from(&listener).listen(BACKLOG).map_err(bad)?;
                (Door::Tcp(listener), certificate)
            }
        };
        Ok(Self {
            address: address.clone(),
            door,
            certificate,
        })
    }

    /// The address that was bound, with the port that the system gave.
    pub fn address(&self) -> Address {
        let mut address = self.address.clone();
        if let (Address::Tcp { port, .. }, Door::Tcp(listener)) = (&mut address, &self.door) {
            *port = listener.local_addr().map_or(*port, |local| local.port());
        }
        address
    }

    /// The TCP address that was bound.
    pub fn local(&self) -> Option<SocketAddr> {
        match &self.door {
            Door::Tcp(listener) => listener.local_addr().ok(),
            Door::Unix { .. } => None,
        }
    }

    /// Serves until the drain begins. What is being answered then is finished, and so is what has been asked by those who had
    /// connected; connections without a request are closed.
    ///
    /// # Cancellation
    /// Dropping the future stops taking connections; those that are there go on under the drain.
    pub async fn run<H: Handle>(self, handle: Arc<H>, drain: Drain) {
        let mut shortage = Shortage::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.begun() => break,
                accepted = self.door.accept() => accepted,
            };
            match accepted {
                Ok((guest, origin)) => self.receive(guest, origin, &handle, &drain),
                Err(error) => shortage.wait(&self.address.to_string(), &error).await,
            }
        }
        while let Ok((guest, origin)) = self.door.accept_now() {
            self.receive(guest, origin, &handle, &drain);
        }
    }

    fn receive<H: Handle>(&self, guest: Guest, origin: Origin, handle: &Arc<H>, drain: &Drain) {
        let peer = Peer {
            origin,
            is_encrypted: self.certificate.is_some(),
            // Known after the handshake.
            is_certified: false,
        };
        let (handle, certificate, ending) = (Arc::clone(handle), self.certificate.clone(), drain.clone());
        drain.spawn("call connection", async move {
            if let Err(error) = doorway::come_in(guest, peer, certificate, handle, ending).await {
                debug!(%error, "a connection has ended early");
            }
        });
    }
}

impl Door {
    async fn accept(&self) -> io::Result<(Guest, Origin)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((prepared(stream), Origin::Tcp(peer)))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((Guest::Unix(stream), Origin::Unix))
            }
        }
    }

    /// Who has connected already; the system is asked itself, as the runtime may not have heard of them yet.
    fn accept_now(&self) -> io::Result<(Guest, Origin)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, peer) = SockRef::from(listener).accept()?;
                socket.set_nonblocking(true)?;
                let peer = peer.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
                Ok((prepared(TcpStream::from_std(socket.into())?), Origin::Tcp(peer)))
            }
            Self::Unix { listener, .. } => {
                let (socket, _) = SockRef::from(listener).accept()?;
                socket.set_nonblocking(true)?;
                Ok((Guest::Unix(UnixStream::from_std(socket.into())?), Origin::Unix))
            }
        }
    }
}

fn prepared(stream: TcpStream) -> Guest {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    socket::prepare(&stream);
    // Without it a dead peer is noticed later; nothing else.
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    Guest::Tcp(stream)
}

/// What is spoken inside of TLS.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

fn certificate(tls: Option<&CertificateFiles>, address: &Address) -> Result<Arc<Certificate>, ListenError> {
    let bad = |why| ListenError::Certificate {
        address: address.clone(),
        why,
    };
    let tls = tls.ok_or_else(|| bad("it needs a certificate and a key".to_owned()))?;
    Certificate::read(tls, PROTOCOLS).map(Arc::new).map_err(bad)
}
