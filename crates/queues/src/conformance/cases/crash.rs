//! What a crash leaves behind: everything that was confirmed, nothing that was settled.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet};

use super::Case;
use crate::{
    Again, Consumer, Promises, Put, Queue, QueueError, Settle,
    conformance::stage::{Ended, Stage, same, text},
};

pub(super) const CASES: &[Case] = &[
    Case::new("what was put survives a crash", |s, q| Box::pin(put_survives(s, q))).where_promised(|p| p.durable),
    Case::new("what was settled before a crash does not come back", |s, q| {
        Box::pin(settled_stays(s, q))
    })
    .where_promised(|p| p.durable),
    Case::new("what was held at a crash comes back", |s, q| {
        Box::pin(held_returns(s, q))
    })
    .where_promised(|p| p.durable),
    Case::new("what was forwarded before a crash is in its place", |s, q| {
        Box::pin(forwarded_stays(s, q))
    })
    .where_promised(|p| p.durable),
    Case::new("attempt and delay survive a crash", |s, q| {
        Box::pin(put_back_survives(s, q))
    })
    .where_promised(|p| p.durable && p.delay),
    Case::new("a delivery that was cut short by a crash is counted", |s, q| {
        Box::pin(counted(s, q))
    })
    .where_promised(counts_durably),
    Case::new(
        "a crash under load loses nothing confirmed and repeats nothing settled",
        |s, q| Box::pin(under_load(s, q)),
    )
    .where_promised(|p| p.durable)
    .heavy(),
];

fn counts_durably(promises: &Promises) -> bool {
    promises.durable && promises.deliveries
}

async fn put_survives(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a", "b", "c"]).await?;
    let queue = stage.crash(queue).await?;
    let mut consumer = stage.consume(&queue, "work", 4).await?;
    let left = stage.empty(&mut consumer).await?;
    same(
        "the messages after the crash",
        &sorted(["a", "b", "c"]),
        &sorted(left.iter().map(|body| lossy(body))),
    )
}

async fn settled_stays(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    stage.done(delivery).await?;
    let queue = stage.crash(queue).await?;
    drop(consumer);
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let quiet = stage.quiet() + 2 * stage.lease();
    stage
        .nothing_for(&mut consumer, quiet, "the settled message to be gone")
        .await
}

async fn held_returns(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let held = stage.take(&mut consumer).await?;
    let queue = stage.crash(queue).await?;
    let mut after = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take_after_lease(&mut after).await?;
    same("the message that was held", &"a", &&*text(&delivery))?;
    // Of the dead handle; whatever it says must not reach the living.
    drop((held, consumer));
    stage.done(delivery).await?;
    stage.nothing(&mut after, "nothing a second time").await
}

async fn forwarded_stays(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work", "next"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    stage.forward(delivery, vec![Put::new("next", "b")]).await?;
    let queue = stage.crash(queue).await?;
    drop(consumer);
    let mut next = stage.consume(&queue, "next", 2).await?;
    let outputs = stage.empty(&mut next).await?;
    same(
        "the output after the crash",
        &sorted(["b"]),
        &sorted(outputs.iter().map(|body| lossy(body))),
    )?;
    let mut work = stage.consume(&queue, "work", 1).await?;
    stage.nothing(&mut work, "the input to be gone").await
}

async fn put_back_survives(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["soon", "later"]).await?;
    let mut consumer = stage.consume(&queue, "work", 2).await?;
    for delivery in stage.take_many(&mut consumer, 2).await? {
        let (attempt, after) = if text(&delivery) == "soon" {
            (3, 100)
        } else {
            (4, 60_000)
        };
        stage
            .again(delivery, Again::attempt(attempt, Duration::from_millis(after)))
            .await?;
    }
    let queue = stage.crash(queue).await?;
    drop(consumer);
    let mut consumer = stage.consume(&queue, "work", 2).await?;
    let delivery = stage.take_after_lease(&mut consumer).await?;
    same("the message whose time came", &"soon", &&*text(&delivery))?;
    same("the attempt it was put back with", &Some(3), &delivery.tally().attempt)?;
    stage.done(delivery).await?;
    stage.nothing(&mut consumer, "the other to wait for its time").await
}

async fn counted(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let held = stage.take(&mut consumer).await?;
    let queue = stage.crash(queue).await?;
    drop((held, consumer));
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take_after_lease(&mut consumer).await?;
    same("deliveries after a crash", &Some(2), &delivery.tally().deliveries)?;
    stage.done(delivery).await
}

/// What those working at the time of the crash know.
#[derive(Default)]
struct Known {
    put: BTreeSet<String>,
    settling: BTreeSet<String>,
    settled: BTreeSet<String>,
    /// How often a settle succeeded, which is more than there are messages where they come again.
    settles: usize,
}

async fn under_load(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let known = Arc::new(Mutex::new(Known::default()));
    let enough = Arc::new(Notify::new());
    let mut load = JoinSet::new();
    for putter in 0..3 {
        load.spawn(put_until_it_ends(Arc::clone(&queue), putter, Arc::clone(&known)));
    }
    for _ in 0..3 {
        let consumer = stage.consume(&queue, "work", 8).await?;
        load.spawn(settle_until_it_ends(consumer, Arc::clone(&known), Arc::clone(&enough)));
    }
    stage.begin("settle 300 messages under load");
    enough.notified().await;
    let queue = stage.crash(queue).await?;
    load.shutdown().await;
    let mut consumer = stage.consume(&queue, "work", 100).await?;
    let left: Vec<_> = stage
        .empty(&mut consumer)
        .await?
        .iter()
        .map(|body| lossy(body))
        .collect();
    let found: BTreeSet<_> = left.iter().cloned().collect();
    let known = std::mem::take(&mut *known.lock().unwrap_or_else(PoisonError::into_inner));
    let lost: Vec<_> = known
        .put
        .iter()
        .filter(|body| !known.settling.contains(*body) && !found.contains(*body))
        .collect();
    same(
        "messages confirmed, never settled and not there any more",
        &Vec::new(),
        &lost,
    )?;
    let repeated: Vec<_> = found.intersection(&known.settled).collect();
    same("messages that were settled and came again", &Vec::new(), &repeated)?;
    same(
        "messages that came after the crash, each once",
        &found.len(),
        &left.len(),
    )
}

async fn put_until_it_ends(queue: Arc<dyn Queue>, putter: u32, known: Arc<Mutex<Known>>) {
    // Enough to be under way at the crash, and an end where nothing is ever settled.
    for batch in 0..200 {
        let bodies: Vec<_> = (0..10).map(|index| format!("{putter}-{batch}-{index}")).collect();
        let puts = bodies.iter().map(|body| Put::new("work", body.clone())).collect();
        if queue.put(puts).await.is_err() {
            return;
        }
        known.lock().unwrap_or_else(PoisonError::into_inner).put.extend(bodies);
        tokio::task::yield_now().await;
    }
}

async fn settle_until_it_ends(mut consumer: Box<dyn Consumer>, known: Arc<Mutex<Known>>, enough: Arc<Notify>) {
    loop {
        let Ok(delivery) = consumer.take().await else { return };
        let body = text(&delivery);
        known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .settling
            .insert(body.clone());
        let settled: Result<(), QueueError> = delivery.settle(Settle::Done).await;
        if settled.is_err() {
            return;
        }
        let count = {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.settled.insert(body);
            known.settles += 1;
            known.settles
        };
        if count >= 300 {
            enough.notify_one();
        }
        tokio::task::yield_now().await;
    }
}

fn lossy(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

fn sorted(bodies: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    let mut bodies: Vec<_> = bodies.into_iter().map(Into::into).collect();
    bodies.sort();
    bodies
}
