//! What a listener does where the system has nothing left for one more connection.

use std::{io, time::Duration};

use tokio::time::Instant;
use tracing::warn;

/// Waits for better times, and says so now and then.
#[derive(Debug, Default)]
pub struct Shortage {
    told: Option<Instant>,
}

/// Before the next try.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two words about it.
const SILENCE: Duration = Duration::from_secs(10);

impl Shortage {
    /// A connection of `listener`, as people call it, could not be taken: it waits on, in the system's queue.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub async fn wait(&mut self, listener: &str, error: &io::Error) {
        if self.told.is_none_or(|told| told.elapsed() >= SILENCE) {
            self.told = Some(Instant::now());
            warn!(listener, %error, "cannot take a connection, trying again every 100 ms");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
