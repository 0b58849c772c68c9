//! Chooses the transport by the URL's scheme.

use std::{path::Path, sync::Arc};

#[cfg(feature = "rabbitmq")]
use crate::rabbitmq::{RabbitOptions, RabbitQueue};
use crate::{Queue, QueueError, memory::MemoryQueue};

/// Opens the queue that a URL names.
///
/// `sqlite:PATH[?durability=power|process]` (relative to `folder`) is the durable queue in a file, `memory:` a new one that ends
/// with its last handle, `amqp://HOST` and `amqps://HOST` the queues of a RabbitMQ with the default `RabbitOptions`.
///
/// # Errors
/// [`QueueError::BadUrl`] for a scheme that this build does not have, else what the transport says.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "rabbitmq")),
    expect(unused_variables, reason = "only a path has a folder")
)]
pub async fn open(url: &str, folder: &Path) -> Result<Arc<dyn Queue>, QueueError> {
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    match scheme {
        "memory" if rest.is_empty() => Ok(Arc::new(MemoryQueue::new())),
        "memory" => Err(bad(url, "nothing follows: write `memory:`")),
        #[cfg(feature = "sqlite")]
        "sqlite" => crate::sqlite::open(rest, folder).await,
        #[cfg(feature = "rabbitmq")]
        "amqp" | "amqps" => {
            let options = RabbitOptions::default();
            Ok(Arc::new(RabbitQueue::new(url, folder, options)?))
        }
        _ => Err(bad(url, &format!("it has to begin with {TRANSPORTS}"))),
    }
}

/// The transports of this build, for a message to the one who writes the URL.
pub const TRANSPORTS: &str = match (cfg!(feature = "sqlite"), cfg!(feature = "rabbitmq")) {
    (true, true) => "`sqlite:PATH`, `amqp://HOST`, `amqps://HOST` or `memory:`",
    (true, false) => "`sqlite:PATH` or `memory:`",
    (false, true) => "`amqp://HOST`, `amqps://HOST` or `memory:`",
    (false, false) => "`memory:`",
};

fn bad(url: &str, why: &str) -> QueueError {
    QueueError::BadUrl {
        url: url.to_owned(),
        why: why.to_owned(),
    }
}
