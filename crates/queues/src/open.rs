//! Chooses the transport by the URL's scheme.

use std::{path::Path, sync::Arc};

use crate::{Queue, QueueError, memory::MemoryQueue};

/// Opens the queue that a URL names.
///
/// `sqlite:PATH[?durability=power|process]` (relative to `folder`) is the durable queue in a file, `memory:` a new one that ends
/// with its last handle.
///
/// # Errors
/// [`QueueError::BadUrl`] for a scheme that this build does not have, else what the transport says.
#[cfg_attr(
    not(feature = "sqlite"),
    expect(unused_variables, reason = "only a file has a folder")
)]
pub async fn open(url: &str, folder: &Path) -> Result<Arc<dyn Queue>, QueueError> {
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    match scheme {
        "memory" if rest.is_empty() => Ok(Arc::new(MemoryQueue::new())),
        "memory" => Err(bad(url, "nothing follows: write `memory:`")),
        #[cfg(feature = "sqlite")]
        "sqlite" => crate::sqlite::open(rest, folder).await,
        _ => Err(bad(url, "this build has `sqlite:PATH` and `memory:`")),
    }
}

fn bad(url: &str, why: &str) -> QueueError {
    QueueError::BadUrl {
        url: url.to_owned(),
        why: why.to_owned(),
    }
}
