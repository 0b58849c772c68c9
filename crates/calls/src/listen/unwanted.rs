//! What becomes of the rest of a request that was answered before all of it had come.
//!
//! Who sends reads our answer when it has sent, or looks up from sending only now and then. So the rest is read and thrown away for a
//! while: where a connection is closed with bytes that nobody read, the system takes back what it had not delivered yet.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use chassis::lifecycle::Drain;
use tokio::time::{sleep, timeout};

/// A rest of no more than this is worth reading for the connection's next request.
pub(super) const NEAR: u64 = 256 * 1024;
/// How long nothing may come.
pub(super) const SILENCE: Duration = Duration::from_secs(2);
/// How long it may go on, as with other servers.
const LONGEST: Duration = Duration::from_secs(30);

/// Takes parts until there are no more; says whether it came to that. A shutdown waits no longer than for a silence.
///
/// # Cancellation
/// Dropping the future loses nothing that anybody wanted.
pub(super) async fn read_off<T, E>(
    drain: &Drain,
    mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<Result<T, E>>>,
) -> bool {
    let to_the_end = async {
        loop {
            match timeout(SILENCE, std::future::poll_fn(&mut next)).await {
                Ok(Some(Ok(_))) => {}
                Ok(None) => return true,
                Ok(Some(Err(_))) | Err(_) => return false,
            }
        }
    };
    let too_long = async {
        tokio::select! {
            () = sleep(LONGEST) => {}
            () = async { drain.begun().await; sleep(SILENCE).await } => {}
        }
    };
    tokio::select! {
        biased;
        ended = to_the_end => ended,
        () = too_long => false,
    }
}
