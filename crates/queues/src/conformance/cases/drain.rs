//! Consumers that leave, and closing.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::timeout};

use super::Case;
use crate::{
    Again, Put, Queue, QueueError, Settle,
    conformance::stage::{Ended, Halt, Stage, holds, refused, same, text},
};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "a consumer that is dropped gives back what it did not hand out, uncounted",
        |s, q| Box::pin(consumer_dropped(s, q)),
    ),
    Case::new("a delivery outlives its consumer", |s, q| Box::pin(outlives(s, q))),
    Case::new("close ends a take that waits", |s, q| Box::pin(close_ends_takes(s, q))),
    Case::new("a closed transport says so", |s, q| Box::pin(says_closed(s, q))),
    Case::new("close waits for the settles that were begun", |s, q| {
        Box::pin(close_waits(s, q))
    })
    .where_promised(|p| p.durable),
    Case::new(
        "closed and opened again, a durable transport has everything in place",
        |s, q| Box::pin(reopened(s, q)),
    )
    .where_promised(|p| p.durable),
];

async fn consumer_dropped(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a", "b", "c", "d", "e"]).await?;
    let mut first = stage.consume(&queue, "work", 5).await?;
    let held = stage.take(&mut first).await?;
    drop(first);
    let mut second = stage.consume(&queue, "work", 5).await?;
    for delivery in stage.take_many(&mut second, 4).await? {
        holds("the messages not handed out", text(&delivery) != text(&held), || {
            text(&delivery)
        })?;
        let deliveries = delivery.tally().deliveries;
        holds("one delivery at most", matches!(deliveries, None | Some(1)), || {
            format!("{deliveries:?}")
        })?;
    }
    Ok(())
}

async fn outlives(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a", "b"]).await?;
    let mut consumer = stage.consume(&queue, "work", 2).await?;
    let mut held = stage.take_many(&mut consumer, 2).await?;
    drop(consumer);
    let mut second = stage.consume(&queue, "work", 2).await?;
    stage
        .nothing(&mut second, "held deliveries to stay with their holder")
        .await?;
    if let (Some(last), Some(first)) = (held.pop(), held.pop()) {
        stage.done(first).await?;
        let body = text(&last);
        stage.again(last, Again::UNCOUNTED).await?;
        let delivery = stage.take(&mut second).await?;
        same("the one that was put back", &body, &text(&delivery))?;
        stage.done(delivery).await?;
    }
    stage.nothing(&mut second, "the other to be gone").await
}

async fn close_ends_takes(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    stage.begin("close while a take waits");
    let both = async {
        tokio::join!(consumer.take(), async {
            tokio::time::sleep(stage.quiet()).await;
            queue.close().await;
        })
    };
    match timeout(Duration::from_secs(5), both).await {
        Ok((taken, ())) => refused("`Closed`", taken, |error| matches!(error, QueueError::Closed)),
        Err(_) => Err(Halt::broken(
            "the take to end with `Closed`",
            "a take that waits on, or a close that does",
        )),
    }
}

async fn says_closed(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    stage.begin("close the transport");
    queue.close().await;
    let closed = |error: &QueueError| matches!(error, QueueError::Closed);
    stage.begin("use a closed transport");
    refused(
        "put to say `Closed`",
        queue.put(vec![Put::new("work", "x")]).await,
        closed,
    )?;
    refused("consume to say `Closed`", queue.consume("work", 1).await, closed)?;
    refused("take to say `Closed`", consumer.take().await, closed)?;
    refused("stats to say `Closed`", queue.stats().await, closed)?;
    stage.begin("close a second time");
    queue.close().await;
    Ok(())
}

async fn close_waits(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let bodies: Vec<_> = (0..60).map(|number: u32| number.to_string()).collect();
    let puts = bodies.iter().map(|body| Put::new("work", body.clone())).collect();
    stage.ok("put messages", queue.put(puts)).await?;
    let mut consumer = stage.consume(&queue, "work", 50).await?;
    let mut settles = JoinSet::new();
    for delivery in stage.take_many(&mut consumer, 50).await? {
        let body = text(&delivery);
        settles.spawn(async move { (body, delivery.settle(Settle::Done).await.is_ok()) });
    }
    // Lets the settles begin, so that close finds them under way.
    tokio::task::yield_now().await;
    let queue = stage.reopen(queue).await?;
    drop(consumer);
    let mut expected = bodies;
    while let Some(ended) = settles.join_next().await {
        if let Ok((body, true)) = ended {
            expected.retain(|left| *left != body);
        }
    }
    let mut consumer = stage.consume(&queue, "work", 60).await?;
    let mut seen: Vec<_> = stage
        .empty(&mut consumer)
        .await?
        .iter()
        .map(|body| String::from_utf8_lossy(body).into_owned())
        .collect();
    seen.sort();
    expected.sort();
    same("just the messages whose settle did not succeed", &expected, &seen)
}

async fn reopened(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work", "empty"]).await?;
    stage.put(&queue, "work", &["a", "b", "c", "d"]).await?;
    let mut consumer = stage.consume(&queue, "work", 2).await?;
    let mut held = stage.take_many(&mut consumer, 2).await?.into_iter();
    consumer.set_credit(0);
    let done = held.next().map(|delivery| (text(&delivery), delivery));
    let again = held.next().map(|delivery| (text(&delivery), delivery));
    let (Some((done, first)), Some((again, second))) = (done, again) else {
        return Ok(());
    };
    stage.done(first).await?;
    stage.again(second, Again::attempt(5, Duration::ZERO)).await?;
    drop(consumer);
    let queue = stage.reopen(queue).await?;
    let exists = stage.ok("ask whether a queue exists", queue.exists("empty")).await?;
    same("whether an empty queue is still declared", &true, &exists)?;
    let mut consumer = stage.consume(&queue, "work", 4).await?;
    let left = stage.take_many(&mut consumer, 3).await?;
    let mut seen: Vec<_> = left.iter().map(text).collect();
    seen.sort();
    let expected: Vec<_> = ["a", "b", "c", "d"]
        .map(str::to_owned)
        .into_iter()
        .filter(|body| *body != done)
        .collect();
    same("all messages but the settled one", &expected, &seen)?;
    for delivery in left {
        let expected = (text(&delivery) == again).then_some(5);
        same(
            &format!("the attempt of `{}`", text(&delivery)),
            &expected,
            &delivery.tally().attempt,
        )?;
        stage.done(delivery).await?;
    }
    stage.nothing(&mut consumer, "the settled one to be gone").await
}
