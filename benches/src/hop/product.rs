//! The product: real `outrigger run` processes on a queue file, and what is put into it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::ensure;
use benches::{message, pin::Cpu, process::Process};
use bytes::Bytes;
use queues::{Put, Queue, QueueSpec};
use tokio::runtime::Runtime;

/// A folder with a queue file and the configurations of those who work on it.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    runtime: Runtime,
}

/// The queue's URL in every configuration.
const QUEUE: &str = "sqlite:queue.db";
/// Messages of one put while a queue is filled.
const FILLING: u64 = 500;
impl Site {
    /// A new folder below `parent`.
    pub(crate) fn new(parent: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("hop-").tempdir_in(parent)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        Ok(Self { folder, runtime })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the handler of a process that is called `name` listens.
    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.sock"))
    }

    /// Does something with the queue file from this process, as any other program would.
    pub(crate) fn with_queue<F: Future<Output = anyhow::Result<T>>, T>(
        &self,
        work: impl FnOnce(Arc<dyn Queue>) -> F,
    ) -> anyhow::Result<T> {
        self.runtime.block_on(async {
            let queue = queues::open(QUEUE, self.folder()).await?;
            let done = work(queue.clone()).await;
            queue.close().await;
            done
        })
    }

    /// Puts `count` messages into the actor's queue.
    pub(crate) fn fill(&self, count: u64, length: usize) -> anyhow::Result<()> {
        self.with_queue(|queue| async move {
            queue.declare(&[QueueSpec::new(message::ACTOR)]).await?;
            for first in (0..count).step_by(usize::try_from(FILLING)?) {
                let numbers = first..count.min(first + FILLING);
                let puts = numbers.map(|number| put(message::envelope(number, length)));
                queue.put(puts.collect()).await?;
            }
            Ok(())
        })
    }

    /// Checks that exactly `count` messages have come to the happy end and none is anywhere else.
    pub(crate) fn check(&self, count: u64) -> anyhow::Result<()> {
        let all = self.with_queue(|queue| async move { Ok(queue.stats().await?) })?;
        for stats in all {
            let expected = if &*stats.name == "happy-end" { count } else { 0 };
            let there = stats.depth.unwrap_or_default() + stats.in_flight.unwrap_or_default();
            ensure!(
                there == expected,
                "queue `{}` has {there} messages, not {expected}",
                stats.name
            );
        }
        Ok(())
    }

    /// Starts the sidecar of the actor, its handler at [`socket`](Self::socket) of `name`.
    pub(crate) fn start(&self, name: &str, concurrency: usize, cpu: Cpu) -> anyhow::Result<Process> {
        let config = format!(
            "queue: {QUEUE}\nactors:\n  {}:\n    handler: {{ socket: {name}.sock }}\n    concurrency: {concurrency}\n",
            message::ACTOR
        );
        Process::start(self.folder(), name, &config, cpu)
    }
}

/// A message for the actor's queue.
pub(crate) fn put(body: Bytes) -> Put {
    Put::new(message::ACTOR, body)
}
