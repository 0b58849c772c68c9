//! The conformance kit on `sqlite:`, with every fault that can be staged inside one process.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use queues::{
    Queue, QueueError,
    conformance::{self, Harness, Outcome, Staged},
    sqlite::{SqliteOptions, SqliteQueue},
};
use tempfile::TempDir;

struct Files {
    folder: TempDir,
    open: Mutex<HashMap<String, Vec<Arc<SqliteQueue>>>>,
}

impl Files {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            open: Mutex::new(HashMap::new()),
        }
    }

    /// The handle behind what the kit holds.
    fn find(&self, place: &str, queue: &Arc<dyn Queue>) -> Arc<SqliteQueue> {
        let open = self.open.lock().unwrap();
        let wanted = Arc::as_ptr(queue).cast::<()>();
        let found = open[place].iter().find(|it| Arc::as_ptr(it).cast::<()>() == wanted);
        found.unwrap().clone()
    }
}

#[async_trait]
impl Harness for Files {
    async fn open(&self, place: &str) -> Result<Arc<dyn Queue>, QueueError> {
        let mut options = SqliteOptions::new(self.folder.path().join(format!("{place}.db")));
        options.lease = self.lease().unwrap();
        let queue = Arc::new(SqliteQueue::open(options).await?);
        let mut open = self.open.lock().unwrap();
        open.entry(place.to_owned()).or_default().push(queue.clone());
        Ok(queue)
    }

    async fn crash(&self, place: &str, queue: Arc<dyn Queue>) -> Staged {
        self.find(place, &queue).stage_crash();
        Staged::Done
    }

    async fn silence(&self, place: &str, queue: &Arc<dyn Queue>) -> Staged {
        self.find(place, queue).stage_silence();
        Staged::Done
    }

    async fn fail_settles(&self, place: &str, queue: &Arc<dyn Queue>, times: u32) -> Staged {
        if self.find(place, queue).stage_failing_settles(times) {
            Staged::Done
        } else {
            Staged::Impossible("another handle owns the file")
        }
    }

    fn lease(&self) -> Option<Duration> {
        Some(Duration::from_millis(300))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_its_promises() {
    let report = conformance::assert_passes(&Files::new()).await;
    println!("{report}");
    let untried = report
        .cases
        .iter()
        .filter(|case| matches!(case.outcome, Outcome::NotTried(_)));
    assert_eq!(untried.count(), 0, "{report}");
}

/// Every other handle is a process of its own to the owner: the kit, seen from the far end of the socket.
struct FarEnd(Files);

#[async_trait]
impl Harness for FarEnd {
    async fn open(&self, place: &str) -> Result<Arc<dyn Queue>, QueueError> {
        let first = !self.0.open.lock().unwrap().contains_key(place);
        if first {
            self.0.open(place).await?;
        }
        self.0.open(place).await
    }

    fn lease(&self) -> Option<Duration> {
        self.0.lease()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_its_promises_through_the_socket() {
    conformance::assert_passes(&FarEnd(Files::new())).await;
}

#[tokio::test]
async fn the_url_opens_a_file_in_folders_that_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let queue = queues::open("sqlite:.outrigger/queue.db?durability=process", folder.path())
        .await
        .unwrap();
    assert!(folder.path().join(".outrigger/queue.db").is_file());
    queue.close().await;
    let error = queues::open("sqlite:queue.db?fast=yes", Path::new("/nowhere"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("`fast` is no parameter"), "{error}");
}
