//! Put-backs that wait.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::Case;
use crate::{
    Again, Queue, Settle,
    conformance::stage::{Ended, Stage, holds, same, text},
};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "a delayed message comes neither before its time nor much after it",
        |s, q| Box::pin(on_time(s, q)),
    )
    .where_promised(|p| p.delay),
    Case::new("a shorter delay does not wait for a longer one", |s, q| {
        Box::pin(shorter_first(s, q))
    })
    .where_promised(|p| p.delay),
    Case::new("a delayed message holds up no other", |s, q| {
        Box::pin(in_nobodys_way(s, q))
    })
    .where_promised(|p| p.delay),
];

const DELAY: Duration = Duration::from_millis(250);
const LONG: Duration = Duration::from_mins(1);

async fn on_time(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    let begun = Instant::now();
    stage.again(delivery, Again::attempt(2, DELAY)).await?;
    let settled = Instant::now();
    let early = stage.ok("take now, before the time", consumer.take_now()).await?;
    holds(
        "nothing before its time",
        early.is_none() || begun.elapsed() >= DELAY,
        || format!("a delivery after {:?}", begun.elapsed()),
    )?;
    let delivery = match early {
        Some(delivery) => delivery,
        None => stage.take(&mut consumer).await?,
    };
    // A millisecond for clocks that are cut to one.
    holds(
        "a wait of at least 250 ms",
        begun.elapsed() + Duration::from_millis(1) >= DELAY,
        || format!("a delivery after {:?}", begun.elapsed()),
    )?;
    let latest = DELAY + stage.lateness();
    holds(
        &format!("a wait of at most {latest:?}"),
        settled.elapsed() <= latest,
        || format!("a delivery after {:?}", settled.elapsed()),
    )?;
    same("the attempt it was put back with", &Some(2), &delivery.tally().attempt)?;
    stage.done(delivery).await
}

async fn shorter_first(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["long", "short"]).await?;
    let mut holder = stage.consume(&queue, "work", 2).await?;
    let mut waiting = None;
    for delivery in stage.take_many(&mut holder, 2).await? {
        match &*text(&delivery) {
            "long" => stage.again(delivery, Again::lost(LONG)).await?,
            _ => waiting = Some(delivery),
        }
    }
    holder.set_credit(0);
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    // The consumer waits already, for the long one's time, when the short one is put back.
    let begun = Instant::now();
    let (taken, settled) = tokio::join!(stage.take(&mut consumer), async {
        tokio::time::sleep(stage.quiet()).await;
        match waiting {
            Some(delivery) => delivery.settle(Settle::Again(Again::lost(DELAY))).await,
            None => Ok(()),
        }
    });
    stage.ok("put a delivery back", async { settled }).await?;
    let delivery = taken?;
    same("the message whose time came", &"short", &&*text(&delivery))?;
    let latest = stage.quiet() + DELAY + stage.lateness();
    holds(
        &format!("a wait of at most {latest:?}"),
        begun.elapsed() <= latest,
        || format!("{:?}", begun.elapsed()),
    )?;
    stage.done(delivery).await
}

async fn in_nobodys_way(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a", "b", "c"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    let first = text(&delivery);
    stage.again(delivery, Again::lost(LONG)).await?;
    for _ in 0..2 {
        let delivery = stage.take(&mut consumer).await?;
        holds("the messages that are not delayed", text(&delivery) != first, || {
            text(&delivery)
        })?;
        stage.done(delivery).await?;
    }
    stage
        .nothing(&mut consumer, "nothing until the delayed one has its time")
        .await
}
