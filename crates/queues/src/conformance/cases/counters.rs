//! The two counters beside a message.

use std::{sync::Arc, time::Duration};

use super::Case;
use crate::{
    Again, Consumer, Delivery, Queue,
    conformance::stage::{Ended, Halt, Stage, same},
};

pub(super) const CASES: &[Case] = &[
    Case::new("the attempt of a put-back is kept", |s, q| Box::pin(attempt(s, q))),
    Case::new("a new message has no attempt", |s, q| Box::pin(no_attempt(s, q))),
    Case::new("deliveries that did not finish are counted, the others not", |s, q| {
        Box::pin(counted(s, q))
    })
    .where_promised(|p| p.deliveries),
    Case::new("a dropped delivery is counted and keeps its attempt", |s, q| {
        Box::pin(dropped(s, q))
    })
    .where_promised(|p| p.deliveries),
];

async fn attempt(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let ends = [
        (Again::attempt(2, Duration::ZERO), Some(2)),
        (Again::UNCOUNTED, Some(2)),
        (Again::lost(Duration::ZERO), Some(2)),
        (Again::attempt(9, Duration::ZERO), Some(9)),
    ];
    for (how, expected) in ends {
        let delivery = stage.take(&mut consumer).await?;
        stage.again(delivery, how).await?;
        let delivery = stage.take(&mut consumer).await?;
        same(
            &format!("the attempt after {how:?}"),
            &expected,
            &delivery.tally().attempt,
        )?;
        stage.again(delivery, Again::UNCOUNTED).await?;
    }
    Ok(())
}

async fn no_attempt(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    same(
        "the attempt of a message that was never put back",
        &None,
        &delivery.tally().attempt,
    )?;
    stage.done(delivery).await
}

async fn counted(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let ends = [
        (Again::UNCOUNTED, 1),
        (Again::lost(Duration::ZERO), 1),
        (Again::attempt(2, Duration::ZERO), 2),
        (Again::lost(Duration::ZERO), 2),
        (Again::UNCOUNTED, 3),
    ];
    let mut before = "the put".to_owned();
    for (how, expected) in ends {
        let delivery = deliver(stage, &mut consumer, expected, &before).await?;
        stage.again(delivery, how).await?;
        before = format!("{how:?}");
    }
    let delivery = deliver(stage, &mut consumer, 3, &before).await?;
    stage.done(delivery).await
}

async fn dropped(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    stage.again(delivery, Again::attempt(3, Duration::ZERO)).await?;
    drop(deliver(stage, &mut consumer, 1, "a put-back for the next attempt").await?);
    let delivery = deliver(stage, &mut consumer, 2, "a drop").await?;
    same("the attempt, which a drop leaves", &Some(3), &delivery.tally().attempt)?;
    stage.done(delivery).await
}

async fn deliver(
    stage: &Stage<'_>,
    consumer: &mut Box<dyn Consumer>,
    expected: u32,
    before: &str,
) -> Result<Delivery, Halt> {
    let delivery = stage.take(consumer).await?;
    same(
        &format!("deliveries after {before}"),
        &Some(expected),
        &delivery.tally().deliveries,
    )?;
    Ok(delivery)
}
