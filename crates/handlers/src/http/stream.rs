//! The bytes of a connection, watched: whether the request is out, and how much has come back.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::Target;
use crate::socket::connect;

/// What a request has met so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The whole of it has been handed to us for writing.
    pub(super) handed: AtomicBool,
    /// The whole of it has been written.
    pub(super) written: AtomicBool,
    /// Bytes that have come since.
    pub(super) read: AtomicU64,
}

impl Seen {
    /// A request begins.
    pub(super) fn begin(&self) {
        self.handed.store(false, Ordering::Relaxed);
        self.written.store(false, Ordering::Relaxed);
        self.read.store(0, Ordering::Relaxed);
    }
}

/// A watched stream.
#[derive(Debug)]
pub(super) struct Stream {
    bytes: Socket,
    seen: Arc<Seen>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects, within `patience`.
    ///
    /// # Cancellation
    /// Dropping the future closes the connection.
    pub(super) async fn open(target: &Target, patience: Duration, seen: Arc<Seen>) -> io::Result<Self> {
        let connect = async {
            io::Result::Ok(match target {
                Target::Unix(path) => Socket::Unix(connect::to(path, patience).await?),
                Target::Tcp { host, port } => {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    // Slower where it is refused, and nothing else.
                    let _ = stream.set_nodelay(true);
                    Socket::Tcp(stream)
                }
            })
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {patience:?}"));
        let bytes = timeout(patience, connect).await.map_err(late)??;
        Ok(Self { bytes, seen })
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut self.bytes {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        let more = buffer.filled().len() - before;
        self.seen.read.fetch_add(more as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.bytes {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.bytes {
            Socket::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Socket::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Asked for when nothing is left to be written of what was handed over. Sockets hold nothing back.
        if self.seen.handed.load(Ordering::Relaxed) {
            self.seen.written.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.bytes {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
