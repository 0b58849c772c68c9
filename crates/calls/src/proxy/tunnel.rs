//! A WebSocket, once both ends have agreed: bytes in both directions.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::Instant,
};

/// One end.
pub(super) struct End<R, W> {
    pub(super) input: R,
    pub(super) output: W,
}

const BUFFER: usize = 16 * 1024;

/// Carries bytes until one end closes, a connection breaks, or nothing moves for too long. The end of one direction is passed on
/// and the other one goes on.
///
/// # Errors
/// What broke, or [`io::ErrorKind::TimedOut`].
///
/// # Cancellation
/// Dropping the future closes both ends.
pub(super) async fn carry<A, B, C, D>(client: End<A, B>, upstream: End<C, D>, idle: Option<Duration>) -> io::Result<()>
where
    A: AsyncRead + Unpin,
    B: AsyncWrite + Unpin,
    C: AsyncRead + Unpin,
    D: AsyncWrite + Unpin,
{
    let moved = AtomicU64::new(0);
    let both = async {
        tokio::try_join!(
            copy(client.input, upstream.output, &moved),
            copy(upstream.input, client.output, &moved),
        )
    };
    tokio::select! {
        ended = both => ended.map(drop),
        () = silence(&moved, idle) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, moved: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
        moved.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until nothing has moved for so long.
async fn silence(moved: &AtomicU64, idle: Option<Duration>) {
    let Some(idle) = idle else {
        return std::future::pending().await;
    };
    let mut seen = moved.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep_until(Instant::now() + idle).await;
        let now = moved.load(Ordering::Relaxed);
        if now == seen {
            return;
        }
        seen = now;
    }
}
