//! The conformance kit on `sqlite:`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use queues::{
    Queue, QueueError,
    conformance::{self, Harness},
    sqlite::{SqliteOptions, SqliteQueue},
};
use tempfile::TempDir;

struct Files(TempDir);

#[async_trait]
impl Harness for Files {
    async fn open(&self, place: &str) -> Result<Arc<dyn Queue>, QueueError> {
        let mut options = SqliteOptions::new(self.0.path().join(format!("{place}.db")));
        options.lease = Duration::from_millis(300);
        Ok(Arc::new(SqliteQueue::open(options).await?))
    }

    fn lease(&self) -> Option<Duration> {
        Some(Duration::from_millis(300))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_its_promises() {
    let report = conformance::assert_passes(&Files(tempfile::tempdir().unwrap())).await;
    println!("{report}");
}
