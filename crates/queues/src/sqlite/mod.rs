//! The durable queue in one file.

use std::{path::Path, sync::Arc};

use crate::{Queue, QueueError};

/// Opens or creates the file.
pub async fn open(_path: &Path) -> Result<Arc<dyn Queue>, QueueError> {
    Err(QueueError::Closed)
}
