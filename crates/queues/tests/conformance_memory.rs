//! The conformance kit on `memory:`.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use queues::{
    Queue, QueueError,
    conformance::{self, Harness, Outcome},
    memory::MemoryQueue,
};

struct Memory;

#[async_trait]
impl Harness for Memory {
    async fn open(&self, _place: &str) -> Result<Arc<dyn Queue>, QueueError> {
        queues::open("memory:", Path::new(".")).await
    }
}

struct Limited;

#[async_trait]
impl Harness for Limited {
    async fn open(&self, _place: &str) -> Result<Arc<dyn Queue>, QueueError> {
        Ok(Arc::new(MemoryQueue::new().with_max_bytes(100_000)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_its_promises_on_several_threads() {
    let report = conformance::assert_passes(&Memory).await;
    println!("{report}");
}

#[tokio::test(start_paused = true)]
async fn memory_keeps_its_promises_on_a_paused_clock() {
    conformance::assert_passes(&Memory).await;
}

#[tokio::test(start_paused = true)]
async fn memory_with_a_limit_is_tested_for_it() {
    let report = conformance::assert_passes(&Limited).await;
    let outcome = |part: &str| {
        report
            .cases
            .iter()
            .find(|case| case.name.contains(part))
            .map(|case| &case.outcome)
    };
    assert_eq!(outcome("a body over the limit"), Some(&Outcome::Passed));
    assert_eq!(outcome("an output over the limit"), Some(&Outcome::Passed));
    assert_eq!(outcome("a body of 1 MiB"), Some(&Outcome::NotPromised));
}
