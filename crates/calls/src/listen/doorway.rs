//! Finds out what a connection speaks: TLS or not, HTTP/1 or 2.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use chassis::{lifecycle::Drain, listen::Certificate};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{Handle, Peer, http1, http2};
use crate::socket::Socket;

/// What came in.
#[derive(Debug)]
pub(super) enum Guest {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection of which something was read already.
#[derive(Debug)]
pub(super) struct Rewound {
    begun: Bytes,
    socket: Socket,
}

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection without a word is kept once the drain has begun.
const LAST_WORD: Duration = Duration::from_millis(250);
/// What a client of HTTP/2 says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The least space for what comes first.
const FIRST: usize = 8 * 1024;

/// Serves a connection to its end.
pub(super) async fn come_in<H: Handle>(
    guest: Guest,
    mut peer: Peer,
    certificate: Option<Arc<Certificate>>,
    handle: Arc<H>,
    drain: Drain,
) -> io::Result<()> {
    let mut socket = match (guest, certificate) {
        (Guest::Unix(stream), _) => Socket::Unix(stream),
        (Guest::Tcp(stream), None) => Socket::Tcp(stream),
        (Guest::Tcp(stream), Some(certificate)) => {
            let shaken = tokio::select! {
                shaken = timeout(HANDSHAKE, certificate.acceptor().accept(stream)) => shaken,
                () = drain.cut() => return Ok(()),
            };
            let stream = shaken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            // What it has shown was held against our `client_ca` in the handshake.
            peer.is_certified = stream.get_ref().1.peer_certificates().is_some();
            let speaks_2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let socket = Socket::Tls(Box::new(stream.into()));
            if speaks_2 {
                let begun = Bytes::new();
                return http2::serve(Rewound { begun, socket }, peer, handle, drain).await;
            }
            socket
        }
    };
    let mut begun = BytesMut::with_capacity(FIRST);
    let spoken = tokio::select! {
        biased;
        spoken = timeout(http1::HEAD_TIME, speaks_2(&mut socket, &mut begun)) => spoken,
        () = silence(&drain) => return Ok(()),
    };
    match spoken {
        Ok(Ok(true)) => {
            http2::serve(
                Rewound {
                    begun: begun.freeze(),
                    socket,
                },
                peer,
                handle,
                drain,
            )
            .await
        }
        Ok(Ok(false)) => http1::serve(socket, begun, peer, handle, drain).await,
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Waits until nobody who has just connected is waited for any longer.
async fn silence(drain: &Drain) {
    drain.begun().await;
    // What was sent before is on its way.
    tokio::time::sleep(LAST_WORD).await;
}

/// Whether HTTP/2 is spoken; reads until that is known. A connection that ends before speaks nothing.
async fn speaks_2(socket: &mut Socket, begun: &mut BytesMut) -> io::Result<bool> {
    loop {
        if !PREFACE.starts_with(&begun[..begun.len().min(PREFACE.len())]) {
            return Ok(false);
        }
        if begun.len() >= PREFACE.len() {
            return Ok(true);
        }
        if socket.read_buf(begun).await? == 0 {
            return Ok(false);
        }
    }
}

impl AsyncRead for Rewound {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.begun.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, out);
        }
        let length = out.remaining().min(self.begun.len());
        out.put_slice(&self.begun.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
