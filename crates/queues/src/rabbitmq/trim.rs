//! Trimming of queues that nobody consumes: RabbitMQ's own limits would take from those with a consumer, too.
//!
//! The oldest are taken one by one and dropped, each judged by what the broker says was behind it, so that several who
//! trim at once do not take too many. A look at the head counts as a delivery there, so its time is remembered. A queue
//! that has a consumer, here or elsewhere, is left alone; one of another process that is paused because its handler is
//! down is not seen.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
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

/// What is known of the heads of queues that are trimmed by age.
#[derive(Debug, Default)]
pub(super) struct Heads {
    seen: Mutex<HashMap<Arc<str>, Head>>,
    hasher: RandomState,
}

/// The oldest message of a queue, when it was looked at.
#[derive(Debug, Clone, Copy)]
struct Head {
    /// When it will have been kept for long enough.
    due: Instant,
    /// It does not say since when it waits: this is told from others by its bytes.
    undated: Option<u64>,
}

/// Trims from time to time, for as long as the transport is there.
pub(super) fn start(shared: &Arc<Shared>) {
    let (weak, closed): (Weak<Shared>, _) = (Arc::downgrade(shared), shared.closed.clone());
    let every = shared.options.trim_every;
    shared.tasks.spawn("RabbitMQ trimming", async move {
        while closed.run_until_cancelled(sleep(every)).await.is_some() {
            let Some(shared) = weak.upgrade() else { return };
            if let Some(Err(error)) = closed.run_until_cancelled(trim(&shared)).await {
                debug!(%error, "queues are not trimmed for now");
            }
        }
    });
}

/// Trims every queue that has a limit and no consumer.
async fn trim(shared: &Shared) -> Result<(), QueueError> {
    for (queue, retention) in shared.topology.retained() {
        while is_alone(shared, &queue, retention).await? && trim_some(shared, &queue, retention).await? == BATCH {}
    }
    Ok(())
}

/// Whether there is something to trim, and nobody who consumes it.
async fn is_alone(shared: &Shared, queue: &Arc<str>, retention: Retention) -> Result<bool, QueueError> {
    if shared.count_desks(queue, |_| true) > 0 {
        return Ok(false);
    }
    let Some(seen) = shared.topology.look(queue).await? else {
        return Ok(false);
    };
    let too_many = retention.max.is_some_and(|max| seen.ready > max);
    Ok(seen.consumers == 0 && seen.ready > 0 && (too_many || shared.heads.is_due(queue, retention)))
}

/// Drops what is too many or too old, a batch at most; how many that was.
async fn trim_some(shared: &Shared, queue: &Arc<str>, retention: Retention) -> Result<usize, QueueError> {
    let channel = shared.take.channel().await?;
    let mut dropped = 0;
    while dropped < BATCH
        && let Some(message) = get(&channel, queue).await?
    {
        let too_many = retention.max.is_some_and(|max| u64::from(message.message_count) >= max);
        if too_many || shared.heads.is_over(queue, &message, retention) {
            let ack = channel.basic_ack(message.delivery.delivery_tag, BasicAckOptions::default());
            timed(ack, "trim a queue").await?.map_err(failed)?;
            dropped += 1;
            continue;
        }
        let requeue = BasicNackOptions {
            requeue: true,
            ..BasicNackOptions::default()
        };
        let nack = channel.basic_nack(message.delivery.delivery_tag, requeue);
        timed(nack, "trim a queue").await?.map_err(failed)?;
        break;
    }
    if dropped > 0 {
        info!(%queue, dropped, "dropped messages that nobody took, as `ends` says");
    }
    timed(channel.close(200, "done".into()), "close a channel")
        .await?
        .map_err(failed)?;
    Ok(dropped)
}

async fn get(channel: &Channel, queue: &str) -> Result<Option<BasicGetMessage>, QueueError> {
    let get = channel.basic_get(queue.into(), BasicGetOptions::default());
    timed(get, "trim a queue").await?.map_err(failed)
}

fn failed(error: lapin::Error) -> QueueError {
    trouble::away("trim a queue", error)
}

impl Heads {
    /// Whether the oldest message may have been kept for long enough.
    fn is_due(&self, queue: &str, retention: Retention) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        retention.keep.is_some() && seen.get(queue).is_none_or(|head| head.due <= Instant::now())
    }

    /// Whether a message at the head has been kept for long enough; if not, it is remembered when it will have been. One
    /// that does not say since when it waits has waited since it was first seen.
    fn is_over(&self, queue: &Arc<str>, message: &BasicGetMessage, retention: Retention) -> bool {
        let Some(keep) = retention.keep else { return false };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let head = if let Some(put_at) = Marks::read(&message.delivery.properties).put_at {
            let age = u64::try_from(now_ms().saturating_sub(put_at)).unwrap_or(0);
            let left = keep.saturating_sub(Duration::from_millis(age));
            if left.is_zero() {
                seen.remove(queue);
                return true;
            }
            Head {
                due: later(left),
                undated: None,
            }
        } else {
            let undated = Some(self.hasher.hash_one(&message.delivery.data));
            let known = seen.get(queue).filter(|head| head.undated == undated).copied();
            if known.is_some_and(|head| head.due <= Instant::now()) {
                seen.remove(queue);
                return true;
            }
            known.unwrap_or(Head {
                due: later(keep),
                undated,
            })
        };
        seen.insert(Arc::clone(queue), head);
        false
    }
}

fn later(wait: Duration) -> Instant {
    let now = Instant::now();
    // A date that no clock reaches is looked at again in a day.
    now.checked_add(wait).unwrap_or(now + Duration::from_hours(24))
}

/// Dropped before it is looked again whether somebody consumes the queue meanwhile.
const BATCH: usize = 200;
