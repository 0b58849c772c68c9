//! Holders that work for long, and holders that are silent.

use std::sync::Arc;

use super::Case;
use crate::{
    ForwardError, Put, Queue, QueueError, Settle,
    conformance::stage::{Ended, Halt, Stage, holds, refused, same, text},
};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "a holder that works for longer than the lease keeps its message",
        |s, q| Box::pin(kept(s, q)),
    )
    .where_promised(|p| p.lease),
    Case::new(
        "a silent holder loses its message, and settling it late writes nothing",
        |s, q| Box::pin(lost(s, q)),
    )
    .where_promised(|p| p.lease),
    Case::new("a silent holder's late forward puts nothing", |s, q| {
        Box::pin(late_forward(s, q))
    })
    .where_promised(|p| p.lease),
    Case::new("two handles on one place see the same queues", |s, q| {
        Box::pin(two_handles(s, q))
    })
    .where_promised(|p| p.lease),
];

async fn kept(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    needs_lease(stage)?;
    let other = stage.open().await?;
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a", "b"]).await?;
    // One holder on each handle, so that neither of two ways to hold is left out.
    let mut here = stage.consume(&queue, "work", 1).await?;
    let mut there = stage.consume(&other, "work", 1).await?;
    let (one, two) = (stage.take(&mut here).await?, stage.take(&mut there).await?);
    here.set_credit(2);
    let listen = 3 * stage.lease();
    stage
        .nothing_for(&mut here, listen, "both messages to stay with those who work on them")
        .await?;
    stage.done(one).await?;
    stage.done(two).await?;
    stage.nothing(&mut here, "both messages to be gone").await
}

async fn lost(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    needs_lease(stage)?;
    let silent = stage.open().await?;
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut holder = stage.consume(&silent, "work", 1).await?;
    let late = stage.take(&mut holder).await?;
    holder.set_credit(0);
    stage.silence(&silent).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take_after_lease(&mut consumer).await?;
    same("the message of the silent holder", &"a", &&*text(&delivery))?;
    let deliveries = delivery.tally().deliveries;
    holds(
        "the lost delivery to be counted",
        matches!(deliveries, None | Some(2)),
        || format!("{deliveries:?}"),
    )?;
    stage.begin("settle late");
    refused("`LeaseLost`", late.settle(Settle::Done).await, |error| {
        matches!(error, QueueError::LeaseLost)
    })?;
    // Had the late settle been written, this one would have nothing to put back.
    stage.again(delivery, crate::Again::UNCOUNTED).await?;
    let delivery = stage.take(&mut consumer).await?;
    stage.done(delivery).await
}

async fn late_forward(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    needs_lease(stage)?;
    let silent = stage.open().await?;
    stage.declare(&queue, &["work", "next"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut holder = stage.consume(&silent, "work", 1).await?;
    let late = stage.take(&mut holder).await?;
    holder.set_credit(0);
    stage.silence(&silent).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take_after_lease(&mut consumer).await?;
    stage.begin("forward late");
    match late.forward(vec![Put::new("next", "x")]).await {
        Err(ForwardError::Unsettled(QueueError::LeaseLost)) => {}
        Err(error) => return Err(Halt::broken("`LeaseLost`", format!("{error:?}"))),
        Ok(()) => return Err(Halt::broken("`LeaseLost`", "success")),
    }
    if queue.promises().atomic_forward {
        let mut next = stage.consume(&queue, "next", 1).await?;
        stage
            .nothing(&mut next, "no output of a delivery that was lost")
            .await?;
    }
    stage.done(delivery).await
}

async fn two_handles(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    let other = stage.open().await?;
    stage.declare(&queue, &["work"]).await?;
    let exists = stage.ok("ask whether a queue exists", other.exists("work")).await?;
    same("whether the other handle sees the queue", &true, &exists)?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let (taken, put) = tokio::join!(stage.take(&mut consumer), async {
        tokio::time::sleep(stage.quiet()).await;
        other.put(vec![Put::new("work", "across")]).await
    });
    stage.ok("put through the other handle", async { put }).await?;
    let delivery = taken?;
    same("what was put through the other handle", &"across", &&*text(&delivery))?;
    stage.done(delivery).await
}

fn needs_lease(stage: &Stage<'_>) -> Ended {
    if stage.lease().is_zero() {
        Err(Halt::NotTried("the harness does not say how long the lease is"))
    } else {
        Ok(())
    }
}
