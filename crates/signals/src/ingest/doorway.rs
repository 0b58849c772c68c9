//! Takes TCP connections for other protocols than our own, so many at once.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use chassis::{lifecycle::Drain, listen::Shortage};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use crate::hub::Hub;

/// A bound TCP address.
#[derive(Debug)]
pub(super) struct Doorway {
    /// What the tasks of its connections are called.
    pub(super) name: &'static str,
    pub(super) listener: TcpListener,
}

impl Doorway {
    /// Serves until the drain begins. Those who had connected by then are still served.
    pub(super) async fn run<F>(
        self,
        hub: Arc<Hub>,
        drain: Drain,
        most: impl Fn() -> usize,
        serve: impl Fn(TcpStream, SocketAddr) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let seats = Arc::new(());
        let receive = |stream: TcpStream, peer: SocketAddr| {
            // Each connection holds one of them.
            if Arc::strong_count(&seats) > most() {
                hub.metrics.dropped("too_many_connections", 1);
                debug!("a connection too many is closed");
                return;
            }
            if let Err(error) = set_up(&stream) {
                debug!(%error, "a connection could not be set up");
                return;
            }
            let (seat, counted) = (Arc::clone(&seats), hub.metrics.connection());
            let served = serve(stream, peer);
            drain.spawn(self.name, async move {
                let (_seat, _counted) = (seat, counted);
                served.await;
            });
        };
        let mut shortage = Shortage::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.begun() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => receive(stream, peer),
                Err(error) => shortage.wait(self.name, &error).await,
            }
        }
        while let Ok((stream, peer)) = accept_now(&self.listener) {
            receive(stream, peer);
        }
    }
}

/// Who has connected already. The runtime may not have heard of them yet: the system is asked itself.
pub(super) fn accept_now(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, peer) = SockRef::from(listener).accept()?;
    socket.set_nonblocking(true)?;
    let peer = peer.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    Ok((TcpStream::from_std(socket.into())?, peer))
}

fn set_up(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_keepalive(true)?;
    stream.set_nodelay(true)
}
