//! Takes connections on one address.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use chassis::{
    config::Secret,
    lifecycle::Drain,
    listen::{Certificate, Shortage, SocketFile, bind_unix},
};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::timeout,
};
use tracing::debug;

use super::{connection::Connection, doorway::accept_now, stream::Stream};
use crate::{
    config::{Tcp, Unix},
    hub::Hub,
};

/// A bound address.
#[derive(Debug)]
pub(crate) struct Listener {
    door: Door,
    terms: Arc<ArcSwap<Terms>>,
}

#[derive(Debug)]
enum Door {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

/// What a connection has to keep to; another set takes its place at a reload, for new connections.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) secret: Option<Secret>,
    pub(crate) read_timeout: Duration,
    max_connections: usize,
    keepalive: bool,
    certificate: Option<Certificate>,
}

/// What came in.
enum Guest {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

impl Terms {
    /// Those of a TCP listener; relative paths begin in `folder`.
    pub(crate) fn tcp(tcp: &Tcp, folder: &Path) -> Result<Self, String> {
        let certificate = tcp
            .encryption()
            .map(|tls| Certificate::read(&tls.files(folder), &[]))
            .transpose()?;
        Ok(Self {
            secret: tcp.secret().cloned(),
            read_timeout: tcp.read_timeout.get(),
            max_connections: tcp.max_connections.get(),
            keepalive: tcp.keepalive,
            certificate,
        })
    }

    /// Those of a Unix socket.
    pub(crate) fn unix(unix: &Unix) -> Self {
        Self {
            secret: None,
            read_timeout: unix.read_timeout.get(),
            max_connections: unix.max_connections.get(),
            keepalive: false,
            certificate: None,
        }
    }
}

impl Listener {
    /// Binds a TCP address.
    pub(crate) async fn tcp(tcp: &Tcp, terms: Arc<ArcSwap<Terms>>) -> io::Result<Self> {
        let host = tcp.host.trim_start_matches('[').trim_end_matches(']');
        let listener = TcpListener::bind((host, tcp.port)).await?;
        Ok(Self {
            door: Door::Tcp(listener),
            terms,
        })
    }

    /// Binds a Unix socket for this user alone. A file that nobody listens on any more is replaced.
    pub(crate) fn unix(path: &Path, terms: Arc<ArcSwap<Terms>>) -> io::Result<Self> {
        let (listener, file) = bind_unix(path)?;
        Ok(Self {
            door: Door::Unix { listener, _file: file },
            terms,
        })
    }

    /// The TCP address that was bound.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.door {
            Door::Tcp(listener) => listener.local_addr().ok(),
            Door::Unix { .. } => None,
        }
    }

    /// Serves until the drain begins. Those who had connected by then are still served.
    pub(crate) async fn run(self, hub: Arc<Hub>, drain: Drain) {
        let seats = Arc::new(());
        let mut shortage = Shortage::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.begun() => break,
                accepted = self.door.accept() => accepted,
            };
            match accepted {
                Ok(guest) => self.receive(guest, &seats, &hub, &drain),
                Err(error) => shortage.wait("signals", &error).await,
            }
        }
        while let Ok(guest) = self.door.accept_now() {
            self.receive(guest, &seats, &hub, &drain);
        }
    }

    fn receive(&self, guest: Guest, seats: &Arc<()>, hub: &Arc<Hub>, drain: &Drain) {
        let terms = self.terms.load_full();
        // Each connection holds one of them.
        if Arc::strong_count(seats) > terms.max_connections {
            hub.metrics.dropped("too_many_connections", 1);
            debug!("a connection too many is closed");
            return;
        }
        let seat = Arc::clone(seats);
        let counted = hub.metrics.connection();
        let (hub, ending) = (Arc::clone(hub), drain.clone());
        drain.spawn("signal connection", async move {
            let (_seat, _counted) = (seat, counted);
            match guest.come_in(&terms).await {
                Ok((stream, peer)) => Connection::new(stream, peer, &terms, &hub).run(&ending).await,
                Err(error) => debug!(%error, "a connection could not be set up"),
            }
        });
    }
}

impl Door {
    async fn accept(&self) -> io::Result<Guest> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, peer)| Guest::Tcp(stream, peer)),
            Self::Unix { listener, .. } => listener.accept().await.map(|(stream, _)| Guest::Unix(stream)),
        }
    }
}

impl Door {
    /// Who has connected already; the system is asked itself, as the runtime may not have heard of them yet.
    fn accept_now(&self) -> io::Result<Guest> {
        match self {
            Self::Tcp(listener) => accept_now(listener).map(|(stream, peer)| Guest::Tcp(stream, peer)),
            Self::Unix { listener, .. } => {
                let (socket, _) = SockRef::from(listener).accept()?;
                socket.set_nonblocking(true)?;
                UnixStream::from_std(socket.into()).map(Guest::Unix)
            }
        }
    }
}

impl Guest {
    async fn come_in(self, terms: &Terms) -> io::Result<(Stream, String)> {
        match self {
            Self::Unix(stream) => Ok((Stream::Unix(stream), "unix".to_owned())),
            Self::Tcp(stream, peer) => {
                SockRef::from(&stream).set_keepalive(terms.keepalive)?;
                stream.set_nodelay(true)?;
                let Some(certificate) = &terms.certificate else {
                    return Ok((Stream::Tcp(stream), peer.to_string()));
                };
                let shaken = timeout(HANDSHAKE, certificate.acceptor().accept(stream)).await;
                let stream = shaken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                Ok((Stream::Tls(Box::new(stream)), peer.to_string()))
            }
        }
    }
}
