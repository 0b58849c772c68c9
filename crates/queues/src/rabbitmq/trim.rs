//! Trimming of queues that nobody consumes: RabbitMQ's own limits would take from those with a consumer, too.
//!
//! The oldest are taken one by one and dropped. A queue that has a consumer, here or elsewhere, is left alone; one of
//! another process that is paused because its handler is down is not seen.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use lapin::{
    Channel,
    message::BasicGetMessage,
    options::{BasicAckOptions, BasicGetOptions, BasicNackOptions},
};
use tokio::time::sleep;
use tracing::{debug, info};

use super::{
    marks::Marks,
    queue::{Shared, now_ms},
    topology::timed,
    trouble,
};
use crate::{QueueError, Retention};

/// Trims from time to time, for as long as the transport is there.
pub(super) fn start(shared: &Arc<Shared>) {
    let (weak, closed): (Weak<Shared>, _) = (Arc::downgrade(shared), shared.closed.clone());
    shared.tasks.spawn("RabbitMQ trimming", async move {
        while closed.run_until_cancelled(sleep(EVERY)).await.is_some() {
            let Some(shared) = weak.upgrade() else { return };
            if let Some(Err(error)) = closed.run_until_cancelled(trim(&shared)).await {
                debug!(%error, "queues are not trimmed for now");
            }
        }
    });
}

/// Trims every queue that has a limit and no consumer.
pub(super) async fn trim(shared: &Shared) -> Result<(), QueueError> {
    for (queue, retention) in shared.topology.retained() {
        if shared.count_desks(&queue, |_| true) > 0 {
            continue;
        }
        let Some(seen) = shared.topology.look(&queue).await? else {
            continue;
        };
        if seen.ready > 0 && seen.consumers == 0 {
            trim_one(shared, &queue, retention, seen.ready).await?;
        }
    }
    Ok(())
}

async fn trim_one(shared: &Shared, queue: &str, retention: Retention, ready: u64) -> Result<(), QueueError> {
    let surplus = retention.max.map_or(0, |max| ready.saturating_sub(max));
    if surplus == 0 && retention.keep.is_none() {
        return Ok(());
    }
    let channel = shared.take.channel().await?;
    let mut dropped = 0;
    while let Some(message) = get(&channel, queue).await? {
        if dropped < surplus || is_over(&message, retention.keep) {
            let ack = channel.basic_ack(message.delivery.delivery_tag, BasicAckOptions::default());
            timed(ack, "trim a queue")
                .await?
                .map_err(|error| trouble::away("trim a queue", error))?;
            dropped += 1;
            continue;
        }
        let requeue = BasicNackOptions {
            requeue: true,
            ..BasicNackOptions::default()
        };
        let nack = channel.basic_nack(message.delivery.delivery_tag, requeue);
        timed(nack, "trim a queue")
            .await?
            .map_err(|error| trouble::away("trim a queue", error))?;
        break;
    }
    if dropped > 0 {
        info!(queue, dropped, "dropped messages that nobody took, as `ends` says");
    }
    timed(channel.close(200, "done".into()), "close a channel")
        .await?
        .map_err(|error| trouble::away("trim a queue", error))
}

async fn get(channel: &Channel, queue: &str) -> Result<Option<BasicGetMessage>, QueueError> {
    let get = channel.basic_get(queue.into(), BasicGetOptions::default());
    timed(get, "trim a queue")
        .await?
        .map_err(|error| trouble::away("trim a queue", error))
}

/// Whether a message is older than it is kept; one that does not say since when it waits is not.
fn is_over(message: &BasicGetMessage, keep: Option<Duration>) -> bool {
    let (Some(keep), Some(put_at)) = (keep, Marks::read(&message.delivery.properties).put_at) else {
        return false;
    };
    u128::try_from(now_ms().saturating_sub(put_at)).is_ok_and(|age| age > keep.as_millis())
}

const EVERY: Duration = Duration::from_mins(1);
