//! A connect to a Unix stream socket.

use std::{io, path::Path, time::Duration};

use tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};

/// Connects; a place in a full backlog is waited for as long as `patience` lasts.
///
/// # Cancellation
/// Dropping the future closes the connection.
pub(crate) async fn to(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let begun = Instant::now();
    let mut wait = Duration::from_millis(1);
    loop {
        match UnixStream::connect(path).await {
            // The backlog is full: it lives, but has not come round to accepting.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && begun.elapsed() < patience => {
                sleep(wait).await;
                wait = (wait * 2).min(Duration::from_millis(100));
            }
            connected => return connected,
        }
    }
}
