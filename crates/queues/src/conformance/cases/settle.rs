//! How deliveries end.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::task::JoinSet;

use super::Case;
use crate::{
    Again, Queue, Settle,
    conformance::stage::{Ended, Stage, same, text},
};

pub(super) const CASES: &[Case] = &[
    Case::new("a settled message never comes back", |s, q| Box::pin(settled(s, q))),
    Case::new("a message that was put back comes again", |s, q| {
        Box::pin(put_back(s, q))
    }),
    Case::new("a delivery that is dropped goes back", |s, q| Box::pin(dropped(s, q))),
    Case::new("a delivery in a task that panics goes back", |s, q| {
        Box::pin(panicked(s, q))
    }),
    Case::new("a settle whose future is dropped still happens", |s, q| {
        Box::pin(settle_dropped(s, q))
    }),
    Case::new("a settle that fails keeps its outcome and is tried again", |s, q| {
        Box::pin(settle_fails(s, q))
    }),
];

async fn settled(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a", "b"]).await?;
    let mut consumer = stage.consume(&queue, "work", 2).await?;
    for delivery in stage.take_many(&mut consumer, 2).await? {
        stage.done(delivery).await?;
    }
    stage.nothing(&mut consumer, "nothing after all was settled").await?;
    drop(consumer);
    let mut other = stage.consume(&queue, "work", 2).await?;
    let quiet = stage.quiet() + 2 * stage.lease();
    stage
        .nothing_for(&mut other, quiet, "nothing for another consumer either")
        .await
}

async fn put_back(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    for _ in 0..3 {
        let delivery = stage.take(&mut consumer).await?;
        same("the body", &"a", &&*text(&delivery))?;
        stage.again(delivery, Again::UNCOUNTED).await?;
    }
    let delivery = stage.take(&mut consumer).await?;
    stage.done(delivery).await?;
    stage
        .nothing(&mut consumer, "one message, not one for each put-back")
        .await
}

async fn dropped(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    drop(stage.take(&mut consumer).await?);
    let delivery = stage.take(&mut consumer).await?;
    same("the body", &"a", &&*text(&delivery))?;
    stage.done(delivery).await
}

async fn panicked(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let _held = delivery;
        // As a panic, without its lines on the terminal.
        std::panic::resume_unwind(Box::new("the case's own panic"));
    });
    tasks.join_next().await;
    let delivery = stage.take(&mut consumer).await?;
    same("the body", &"a", &&*text(&delivery))?;
    stage.done(delivery).await
}

async fn settle_dropped(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    stage.begin("settle and drop the future");
    {
        let mut settle = pin!(delivery.settle(Settle::Done));
        poll_fn(|context| {
            let _ = settle.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
    }
    let quiet = stage.quiet() + 2 * stage.lease();
    stage
        .nothing_for(&mut consumer, quiet, "nothing: the outcome was the queue's to write")
        .await?;
    stage
        .figures(&queue, "work", "nothing held or ready", |stats| {
            matches!(stats.in_flight, None | Some(0)) && matches!(stats.depth, None | Some(0))
        })
        .await
}

async fn settle_fails(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a", "b"]).await?;
    let mut consumer = stage.consume(&queue, "work", 2).await?;
    let mut held = stage.take_many(&mut consumer, 2).await?;
    let (Some(second), Some(first)) = (held.pop(), held.pop()) else {
        return Ok(());
    };
    let body = text(&second);
    stage.fail_settles(&queue, 2).await?;
    stage.done(first).await?;
    stage.fail_settles(&queue, 2).await?;
    stage
        .again(second, Again::attempt(7, std::time::Duration::ZERO))
        .await?;
    let delivery = stage.take(&mut consumer).await?;
    same("the message that was put back", &body, &text(&delivery))?;
    same("the attempt it was put back with", &Some(7), &delivery.tally().attempt)?;
    stage.done(delivery).await?;
    stage
        .nothing(&mut consumer, "nothing more: the first one was done")
        .await
}
