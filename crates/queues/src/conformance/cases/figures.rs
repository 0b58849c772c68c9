//! What a transport says about its queues. A figure may lag, and an unknown one is `None`.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::Case;
use crate::{
    Again, Queue,
    conformance::stage::{Ended, Halt, Stage, holds, same},
};

pub(super) const CASES: &[Case] = &[
    Case::new("every declared queue has its figures, sorted by name", |s, q| {
        Box::pin(all_queues(s, q))
    }),
    Case::new("depth counts what could be taken", |s, q| Box::pin(depth(s, q))),
    Case::new("in_flight counts what is held and not settled", |s, q| {
        Box::pin(in_flight(s, q))
    })
    .where_promised(|p| p.in_flight),
    Case::new("delayed counts what waits for its time", |s, q| Box::pin(delayed(s, q))).where_promised(|p| p.delay),
    Case::new("oldest is the age of the oldest ready message since its put", |s, q| {
        Box::pin(oldest(s, q))
    })
    .where_promised(|p| p.oldest),
    Case::new("consumers counts those that are connected", |s, q| {
        Box::pin(consumers(s, q))
    }),
    Case::new("a figure that is not promised is unknown, not a guess", |s, q| {
        Box::pin(unknown(s, q))
    })
    .where_promised(|p| !p.oldest || !p.in_flight),
];

async fn all_queues(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["pear", "apple"]).await?;
    stage.declare(&queue, &["fig"]).await?;
    let seen: Vec<_> = stage
        .ok("read the figures", queue.stats())
        .await?
        .into_iter()
        .map(|stats| stats.name)
        .collect();
    let seen: Vec<_> = seen.iter().map(|name| &**name).collect();
    same("the declared queues by name", &vec!["apple", "fig", "pear"], &seen)
}

async fn depth(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work", "other"]).await?;
    stage.put(&queue, "work", &["a", "b", "c", "d", "e"]).await?;
    stage.put(&queue, "other", &["x"]).await?;
    // A transport that does not know must keep saying so.
    let known = stage.stats(&queue, "work").await?.depth.is_some();
    let is = |expected: u64| move |depth: Option<u64>| depth == known.then_some(expected);
    stage
        .figures(&queue, "work", "a depth of 5", |stats| is(5)(stats.depth))
        .await?;
    let mut consumer = stage.consume(&queue, "work", 2).await?;
    let held = stage.take_many(&mut consumer, 2).await?;
    stage
        .figures(&queue, "work", "a depth of 3, two being held", |stats| {
            is(3)(stats.depth)
        })
        .await?;
    consumer.set_credit(0);
    for delivery in held {
        stage.again(delivery, Again::UNCOUNTED).await?;
    }
    stage
        .figures(&queue, "work", "a depth of 5, all being back", |stats| {
            is(5)(stats.depth)
        })
        .await?;
    drop(consumer);
    let mut consumer = stage.consume(&queue, "work", 5).await?;
    for delivery in stage.take_many(&mut consumer, 5).await? {
        stage.done(delivery).await?;
    }
    stage
        .figures(&queue, "work", "a depth of 0, all being done", |stats| {
            is(0)(stats.depth)
        })
        .await?;
    stage
        .figures(&queue, "other", "a depth of 1", |stats| is(1)(stats.depth))
        .await
}

async fn in_flight(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a", "b", "c"]).await?;
    stage
        .figures(&queue, "work", "none in flight", |stats| stats.in_flight == Some(0))
        .await?;
    let mut consumer = stage.consume(&queue, "work", 2).await?;
    let held = stage.take_many(&mut consumer, 2).await?;
    stage
        .figures(&queue, "work", "two in flight", |stats| stats.in_flight == Some(2))
        .await?;
    consumer.set_credit(0);
    for (number, delivery) in held.into_iter().enumerate() {
        match number {
            0 => stage.done(delivery).await?,
            _ => stage.again(delivery, Again::UNCOUNTED).await?,
        }
    }
    stage
        .figures(&queue, "work", "none in flight", |stats| stats.in_flight == Some(0))
        .await
}

async fn delayed(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a", "b"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    consumer.set_credit(0);
    stage.again(delivery, Again::lost(Duration::from_mins(1))).await?;
    let known = stage.stats(&queue, "work").await?;
    stage
        .figures(&queue, "work", "one delayed and the other one ready", |stats| {
            (known.delayed.is_none() || stats.delayed == Some(1)) && (known.depth.is_none() || stats.depth == Some(1))
        })
        .await
}

async fn oldest(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let empty = stage.stats(&queue, "work").await?;
    same("the oldest age in an empty queue", &None, &empty.oldest)?;
    let before = Instant::now();
    stage.put(&queue, "work", &["a"]).await?;
    let after = Instant::now();
    sleep(2 * stage.quiet()).await;
    stage.put(&queue, "work", &["b"]).await?;
    let second = Instant::now();
    age(stage, &queue, before, after).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    stage.again(delivery, Again::UNCOUNTED).await?;
    drop(consumer);
    age(stage, &queue, before, after).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    consumer.set_credit(0);
    stage.done(delivery).await?;
    stage
        .figures(&queue, "work", "the age of the younger message", |stats| {
            stats
                .oldest
                .is_some_and(|oldest| oldest <= second.elapsed() + SLACK + stage.quiet())
        })
        .await
}

/// Clocks that are cut to a millisecond, and walls that are not monotonic.
const SLACK: Duration = Duration::from_millis(25);

async fn age(stage: &Stage<'_>, queue: &Arc<dyn Queue>, before: Instant, after: Instant) -> Ended {
    // What a consumer gave back may take a moment to be ready.
    stage
        .figures(queue, "work", "both messages ready", |stats| {
            matches!(stats.depth, None | Some(2))
        })
        .await?;
    let least = after.elapsed();
    let stats = stage.stats(queue, "work").await?;
    let most = before.elapsed();
    let oldest = stats
        .oldest
        .ok_or_else(|| Halt::broken("an oldest age", format!("{stats:?}")))?;
    holds(
        &format!("an age between {least:?} and {most:?}"),
        oldest + SLACK >= least && oldest <= most + SLACK,
        || format!("{oldest:?}"),
    )
}

async fn consumers(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    if stage.stats(&queue, "work").await?.consumers.is_none() {
        return Err(Halt::NotPromised);
    }
    stage
        .figures(&queue, "work", "no consumer", |stats| stats.consumers == Some(0))
        .await?;
    let first = stage.consume(&queue, "work", 1).await?;
    let second = stage.consume(&queue, "work", 0).await?;
    stage
        .figures(&queue, "work", "two consumers", |stats| stats.consumers == Some(2))
        .await?;
    drop(first);
    stage
        .figures(&queue, "work", "one consumer", |stats| stats.consumers == Some(1))
        .await?;
    drop(second);
    stage
        .figures(&queue, "work", "no consumer", |stats| stats.consumers == Some(0))
        .await
}

async fn unknown(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let (promises, stats) = (queue.promises(), stage.stats(&queue, "work").await?);
    if !promises.oldest {
        same("the oldest age, which is not promised", &None, &stats.oldest)?;
    }
    if !promises.in_flight {
        same("the number in flight, which is not promised", &None, &stats.in_flight)?;
    }
    Ok(())
}
