//! HTTP/1 on one address, for as long as the plane has no other listener: a connection is served by [`Service`] alone.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use chassis::lifecycle::Drain;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
};
use tracing::{debug, warn};

use crate::{
    Peer, Service,
    ipc::{SocketFile, bind},
};

/// A bound address.
#[derive(Debug)]
pub(crate) enum Web {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        path: PathBuf,
        _file: SocketFile,
    },
}

impl Web {
    pub(crate) async fn tcp(host: &str, port: u16) -> io::Result<Self> {
        TcpListener::bind((host, port)).await.map(Self::Tcp)
    }

    pub(crate) fn unix(path: &Path) -> io::Result<Self> {
        let (listener, file) = bind(path)?;
        Ok(Self::Unix {
            listener,
            path: path.to_owned(),
            _file: file,
        })
    }

    /// The TCP address that was bound.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix { .. } => None,
        }
    }

    /// The address, for people.
    pub(crate) fn shown(&self) -> String {
        match (self, self.address()) {
            (Self::Unix { path, .. }, _) => format!("http+unix://{}", path.display()),
            (Self::Tcp(_), Some(address)) => format!("http://{address}"),
            (Self::Tcp(_), None) => "http://".to_owned(),
        }
    }

    /// Serves until the drain begins; a request that is under way then is answered.
    pub(crate) async fn run(self, service: Service, drain: Drain) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.begun() => return,
                accepted = self.accept(&service, &drain) => accepted,
            };
            if let Err(error) = accepted {
                warn!(%error, "cannot take a connection, trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn accept(&self, service: &Service, drain: &Drain) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                serve(stream, peer.ip().to_string(), service, drain);
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                serve(stream, "unix".to_owned(), service, drain);
            }
        }
        Ok(())
    }
}

fn serve<S>(stream: S, host: String, service: &Service, drain: &Drain)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = Peer {
        host,
        is_certified: false,
    };
    let service = service.clone();
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let ending = drain.clone();
    drain.spawn("calls connection", async move {
        let mut connection = Box::pin(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), answer),
        );
        let ended = tokio::select! {
            biased;
            ended = &mut connection => ended,
            () = ending.begun() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = &mut connection => ended,
                    () = ending.cut() => return,
                }
            }
        };
        if let Err(error) = ended {
            debug!(%error, "a connection broke off");
        }
    });
}

/// Before the next try where the system is short of something.
const PAUSE: Duration = Duration::from_millis(100);
