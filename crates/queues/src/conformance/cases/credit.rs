//! How much a consumer may hold.

use std::sync::Arc;

use super::Case;
use crate::{
    Queue,
    conformance::stage::{Ended, Stage, holds, text},
};

pub(super) const CASES: &[Case] = &[
    Case::new("no more are unsettled than the credit allows", |s, q| {
        Box::pin(respected(s, q))
    }),
    Case::new("a settled delivery gives its credit back, however it ends", |s, q| {
        Box::pin(given_back(s, q))
    }),
    Case::new("credit can be raised while a take waits", |s, q| Box::pin(raised(s, q))),
    Case::new("credit can be lowered below what is held", |s, q| {
        Box::pin(lowered(s, q))
    }),
    Case::new("no credit is a pause: what was not handed out is for others", |s, q| {
        Box::pin(paused(s, q))
    }),
];

const FIVE: &[&str] = &["a", "b", "c", "d", "e"];

async fn respected(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", FIVE).await?;
    let mut consumer = stage.consume(&queue, "work", 3).await?;
    let _held = stage.take_many(&mut consumer, 3).await?;
    let more = stage.ok("take now, beyond the credit", consumer.take_now()).await?;
    holds("no fourth delivery with a credit of three", more.is_none(), || {
        more.iter().map(text).collect()
    })?;
    stage
        .nothing(&mut consumer, "no fourth delivery with a credit of three")
        .await
}

async fn given_back(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work", "next"]).await?;
    stage.put(&queue, "work", FIVE).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    stage.done(delivery).await?;
    let delivery = stage.take(&mut consumer).await?;
    stage.again(delivery, crate::Again::UNCOUNTED).await?;
    let delivery = stage.take(&mut consumer).await?;
    stage.forward(delivery, vec![crate::Put::new("next", "x")]).await?;
    let _last = stage.take(&mut consumer).await?;
    Ok(())
}

async fn raised(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", FIVE).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let _first = stage.take(&mut consumer).await?;
    stage
        .nothing(&mut consumer, "no second delivery with a credit of one")
        .await?;
    consumer.set_credit(3);
    let _second = stage.take(&mut consumer).await?;
    let _third = stage.take(&mut consumer).await?;
    stage
        .nothing(&mut consumer, "no fourth delivery with a credit of three")
        .await
}

async fn lowered(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", FIVE).await?;
    let mut consumer = stage.consume(&queue, "work", 3).await?;
    let mut held = stage.take_many(&mut consumer, 3).await?;
    consumer.set_credit(1);
    while held.len() > 1 {
        if let Some(delivery) = held.pop() {
            stage.done(delivery).await?;
        }
        stage
            .nothing(&mut consumer, "no delivery while as many as the credit are held")
            .await?;
    }
    for delivery in held {
        stage.done(delivery).await?;
    }
    let _next = stage.take(&mut consumer).await?;
    stage
        .nothing(&mut consumer, "no second delivery with a credit of one")
        .await
}

async fn paused(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", FIVE).await?;
    let mut first = stage.consume(&queue, "work", 5).await?;
    let held = stage.take(&mut first).await?;
    first.set_credit(0);
    stage.nothing(&mut first, "no delivery to a paused consumer").await?;
    let mut second = stage.consume(&queue, "work", 5).await?;
    for delivery in stage.take_many(&mut second, 4).await? {
        let counted = delivery.tally().deliveries;
        holds(
            "messages that were never handed out to be uncounted",
            matches!(counted, None | Some(1)),
            || format!("`{}` with {counted:?} deliveries", text(&delivery)),
        )?;
        stage.done(delivery).await?;
    }
    stage.done(held).await?;
    stage.put(&queue, "work", &["f"]).await?;
    drop(second);
    first.set_credit(1);
    let delivery = stage.take(&mut first).await?;
    stage.done(delivery).await
}
