//! Many messages and several consumers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use tokio::task::JoinSet;

use super::Case;
use crate::{
    Consumer, Put, Queue, QueueError, Settle,
    conformance::stage::{Ended, Stage, holds, same, text},
};

pub(super) const CASES: &[Case] = &[
    Case::new("of 10,000 messages several consumers get each exactly once", |s, q| {
        Box::pin(exactly_once(s, q))
    })
    .heavy(),
    Case::new("two consumers of one queue share it fairly", |s, q| {
        Box::pin(fairly(s, q))
    })
    .heavy(),
];

const MANY: u16 = 10_000;
const CONSUMERS: usize = 4;
const CREDIT: usize = 50;

async fn exactly_once(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let left = Arc::new(AtomicI64::new(i64::from(MANY)));
    let mut takers = JoinSet::new();
    for _ in 0..CONSUMERS {
        let consumer = stage.consume(&queue, "work", CREDIT).await?;
        takers.spawn(take_all(consumer, CREDIT, Arc::clone(&left)));
    }
    let mut putters = JoinSet::new();
    for putter in 0..2 {
        let queue = Arc::clone(&queue);
        putters.spawn(async move {
            for batch in 0..MANY / 200 {
                let first = (batch * 2 + putter) * 100;
                queue
                    .put(
                        (first..first + 100)
                            .map(|number| Put::new("work", number.to_string()))
                            .collect(),
                    )
                    .await?;
            }
            Ok::<_, QueueError>(())
        });
    }
    stage.begin("put 10,000 messages");
    while let Some(put) = putters.join_next().await {
        stage
            .ok("put 10,000 messages", async { put.unwrap_or(Err(QueueError::Closed)) })
            .await?;
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    stage.begin("take 10,000 messages");
    while let Some(taken) = takers.join_next().await {
        let taken = stage
            .ok("take 10,000 messages", async {
                taken.unwrap_or(Err(QueueError::Closed))
            })
            .await?;
        for body in taken {
            *seen.entry(body).or_default() += 1;
        }
    }
    let twice: Vec<_> = seen
        .iter()
        .filter(|(_, times)| **times > 1)
        .map(|(body, _)| body)
        .collect();
    same("messages taken more than once", &Vec::new(), &twice)?;
    same("different messages", &usize::from(MANY), &seen.len())?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    stage.nothing(&mut consumer, "an empty queue in the end").await
}

/// Takes until nobody has anything left to take, with up to `credit` settles under way.
async fn take_all(
    mut consumer: Box<dyn Consumer>,
    credit: usize,
    left: Arc<AtomicI64>,
) -> Result<Vec<String>, QueueError> {
    let mut bodies = Vec::new();
    let mut settles = JoinSet::new();
    while left.load(Ordering::SeqCst) > 0 {
        tokio::select! {
            taken = consumer.take() => {
                let delivery = taken?;
                bodies.push(text(&delivery));
                settles.spawn(delivery.settle(Settle::Done));
            }
            Some(settled) = settles.join_next() => {
                settled.unwrap_or(Err(QueueError::Closed))?;
                left.fetch_sub(1, Ordering::SeqCst);
            }
            // The others may take the last ones.
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
        }
        while settles.len() >= credit {
            if let Some(settled) = settles.join_next().await {
                settled.unwrap_or(Err(QueueError::Closed))?;
                left.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }
    while let Some(settled) = settles.join_next().await {
        settled.unwrap_or(Err(QueueError::Closed))?;
    }
    Ok(bodies)
}

/// Both consumers are driven by one task: how the machine shares its processors among threads decides nothing here.
async fn fairly(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    const MESSAGES: u16 = 1_000;
    stage.declare(&queue, &["work"]).await?;
    let (first, second) = (
        stage.consume(&queue, "work", 4).await?,
        stage.consume(&queue, "work", 4).await?,
    );
    let puts = (0..MESSAGES)
        .map(|number| Put::new("work", number.to_string()))
        .collect();
    stage.ok("put 1,000 messages", queue.put(puts)).await?;
    let left = AtomicI64::new(i64::from(MESSAGES));
    let shares = stage
        .ok("take 1,000 messages with two consumers", async {
            tokio::try_join!(take_and_settle(first, &left), take_and_settle(second, &left))
        })
        .await?;
    holds(
        "at least 300 of 1,000 for each of two consumers",
        shares.0.min(shares.1) * 10 >= usize::from(MESSAGES) * 3,
        || format!("{shares:?}"),
    )
}

/// Takes and settles one by one, with a turn for the other after each, until nobody has anything left to take, and says how many it took.
async fn take_and_settle(mut consumer: Box<dyn Consumer>, left: &AtomicI64) -> Result<usize, QueueError> {
    let mut took = 0;
    while left.load(Ordering::SeqCst) > 0 {
        tokio::select! {
            taken = consumer.take() => {
                taken?.settle(Settle::Done).await?;
                left.fetch_sub(1, Ordering::SeqCst);
                took += 1;
                tokio::task::yield_now().await;
            }
            // The other may take the last ones.
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
        }
    }
    Ok(took)
}
