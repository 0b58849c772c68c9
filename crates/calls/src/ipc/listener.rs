//! Takes connections on one socket.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chassis::{
    lifecycle::Drain,
    listen::{Shortage, SocketFile, bind_unix},
};
use tokio::net::UnixListener;

use super::connection;
use crate::functions::Registry;

/// A bound socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UnixListener,
    _file: SocketFile,
}

impl Listener {
    /// Binds a socket for this user alone.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let (listener, file) = bind_unix(path)?;
        Ok(Self {
            socket: listener,
            _file: file,
        })
    }

    /// Serves until the drain begins; connections end when what they have in flight is answered. An object of a new connection has
    /// at most `limit` bytes.
    pub(crate) async fn run(self, registry: Registry, limit: Arc<AtomicUsize>, drain: Drain) {
        let mut shortage = Shortage::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.begun() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (registry, ending) = (registry.clone(), drain.clone());
                    let limit = limit.load(Ordering::Relaxed);
                    drain.spawn("ipc connection", async move {
                        connection::serve(stream, &registry, limit, &ending).await;
                    });
                }
                Err(error) => shortage.wait("ipc", &error).await,
            }
        }
    }
}
