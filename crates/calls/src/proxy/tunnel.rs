//! A WebSocket, once both ends have agreed: bytes in both directions.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::Instant,
};

use super::pulse::Pulse;

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
    let pulse = Pulse::new(Instant::now());
    let both = async {
        tokio::try_join!(
            copy(client.input, upstream.output, &pulse),
            copy(upstream.input, client.output, &pulse),
        )
    };
    tokio::select! {
        ended = both => ended.map(drop),
        () = pulse.silence(idle) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, pulse: &Pulse) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
        pulse.beat();
    }
}
