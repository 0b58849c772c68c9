//! Failed messages of a queue that cannot be looked into, moved to where they can be.
//!
//! The rule: a message is stored in the ledger, a file on this machine, before the broker is told that it was taken.

use std::{sync::Arc, time::Duration};

use chassis::config::Loaded;
use queues::{Put, Queue, QueueSpec, Settle};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    config::Root,
    exit::{Code, Failure},
    human::count,
    progress::Progress,
};

/// Where failed messages can be listed, and the name of the queue that they are in.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) name: String,
}

/// Moves everything that is at the error-end now into the ledger beside the configuration, and opens that.
pub(super) async fn fill(broker: &dyn Queue, end: &str, loaded: &Loaded<Root>) -> anyhow::Result<Ledger> {
    if !cfg!(feature = "sqlite") {
        let failure = Failure::new(
            Code::Config,
            "failed messages of a broker are listed from a file, which this build lacks",
        );
        return Err(failure.help("use a build with the `sqlite` feature").into());
    }
    let name = format!("{end}@{}", place(&loaded.value.queue));
    let queue = queues::open(&format!("sqlite:{FILE}"), &loaded.folder).await?;
    let spec = QueueSpec {
        retention: Some(loaded.value.ends.error_retention()),
        ..QueueSpec::new(name.as_str())
    };
    queue.declare(&[spec]).await?;
    let ledger = Ledger { queue, name };
    let moved = take_over(broker, end, &ledger).await?;
    if moved > 0 {
        let file = loaded.folder.join(FILE);
        eprintln!(
            "moved {} from `{end}` to {}, where they can be listed",
            count(moved, "message"),
            file.display()
        );
    }
    Ok(ledger)
}

/// Takes as many as are there at the beginning, or fewer where somebody else takes them too.
async fn take_over(broker: &dyn Queue, end: &str, ledger: &Ledger) -> anyhow::Result<usize> {
    let there = broker.stats().await?.into_iter().find(|stats| &*stats.name == end);
    let there = there.and_then(|stats| stats.depth).unwrap_or(0);
    let there = usize::try_from(there).unwrap_or(usize::MAX);
    if there == 0 {
        return Ok(0);
    }
    let mut consumer = broker.consume(end, BATCH.min(there)).await?;
    let mut progress = Progress::new("moving", Some(there as u64));
    let mut moved = 0;
    while moved < there {
        let Ok(first) = timeout(PATIENCE, consumer.take()).await else {
            break;
        };
        let mut batch = vec![first?];
        while batch.len() < BATCH.min(there - moved)
            && let Some(more) = consumer.take_now().await?
        {
            batch.push(more);
        }
        let puts = batch
            .iter()
            .map(|delivery| Put::new(ledger.name.as_str(), delivery.body().clone()));
        ledger.queue.put(puts.collect()).await?;
        moved += batch.len();
        progress.advance(batch.len() as u64);
        let mut settles: JoinSet<_> = batch
            .into_iter()
            .map(|delivery| delivery.settle(Settle::Done))
            .collect();
        while let Some(settled) = settles.join_next().await {
            // One that could not be acknowledged comes again, and stands in the ledger twice: nothing is lost.
            if let Err(error) = settled? {
                tracing::warn!(%error, "a message that was moved may come again");
            }
        }
    }
    Ok(moved)
}

/// A broker's address without user and password: each has its own messages in the ledger.
fn place(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('?').next().unwrap_or(rest);
    rest.rsplit_once('@').map_or(rest, |(_, place)| place)
}

/// Beside the configuration.
const FILE: &str = ".outrigger/dead.db";
/// Moved together: they share a sync of the disk.
const BATCH: usize = 256;
/// How long one is waited for that should be there.
const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_no_password() {
        assert_eq!(place("amqp://u:p@h:1/v?heartbeat=3"), "h:1/v");
        assert_eq!(place("amqps://h"), "h");
    }
}
