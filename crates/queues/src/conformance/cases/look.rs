//! Browsing and claiming.

use std::sync::Arc;

use super::Case;
use crate::{
    Browsed, Queue,
    conformance::stage::{Ended, Halt, Stage, holds, same, text},
};

pub(super) const CASES: &[Case] = &[
    Case::new("browsing shows messages in order and takes none", |s, q| {
        Box::pin(takes_none(s, q))
    })
    .where_promised(|p| p.browse),
    Case::new("browsing says what is in flight", |s, q| Box::pin(in_flight(s, q))).where_promised(|p| p.browse),
    Case::new("browsing goes on after a position and stops at the limit", |s, q| {
        Box::pin(pages(s, q))
    })
    .where_promised(|p| p.browse),
    Case::new("a claim takes the one message at its position, once", |s, q| {
        Box::pin(claims(s, q))
    })
    .where_promised(|p| p.browse),
    Case::new("a claimed message that is dropped goes back", |s, q| {
        Box::pin(claim_dropped(s, q))
    })
    .where_promised(|p| p.browse),
    Case::new(
        "browse and claim say that they are unsupported where they are",
        |s, q| Box::pin(unsupported(s, q)),
    )
    .where_promised(|p| !p.browse),
];

async fn takes_none(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    same("an empty queue", &Vec::new(), &browse(stage, &queue, None, 10).await?)?;
    stage.put(&queue, "work", &["a", "b", "c"]).await?;
    for _ in 0..2 {
        let seen = browse(stage, &queue, None, 10).await?;
        same("the bodies in order", &vec!["a", "b", "c"], &bodies(&seen))?;
        let growing = seen.windows(2).all(|pair| pair[0].position < pair[1].position);
        holds("positions that grow", growing, || format!("{seen:?}"))?;
    }
    let mut consumer = stage.consume(&queue, "work", 3).await?;
    let delivery = stage.take(&mut consumer).await?;
    if let Some(deliveries) = delivery.tally().deliveries {
        same("deliveries of a message that was only browsed", &1, &deliveries)?;
    }
    stage.done(delivery).await?;
    for delivery in stage.take_many(&mut consumer, 2).await? {
        stage.done(delivery).await?;
    }
    Ok(())
}

async fn in_flight(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a", "b"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let held = stage.take(&mut consumer).await?;
    let seen = browse(stage, &queue, None, 10).await?;
    let flags: Vec<_> = seen
        .iter()
        .map(|message| (&message.body[..] == held.body(), message.in_flight))
        .collect();
    same(
        "the held message alone in flight",
        &vec![(true, true), (false, false)],
        &flags,
    )?;
    consumer.set_credit(0);
    stage.again(held, crate::Again::UNCOUNTED).await?;
    let seen = browse(stage, &queue, None, 10).await?;
    let flags: Vec<_> = seen.iter().map(|message| message.in_flight).collect();
    same("none in flight after the put-back", &vec![false, false], &flags)
}

async fn pages(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work", "other"]).await?;
    stage.put(&queue, "work", &["a", "b"]).await?;
    stage.put(&queue, "other", &["x"]).await?;
    stage.put(&queue, "work", &["c", "d", "e"]).await?;
    let mut after = None;
    let mut seen = Vec::new();
    for expected in [2, 2, 1, 0] {
        let page = browse(stage, &queue, after, 2).await?;
        same("the size of a page of two", &expected, &page.len())?;
        after = page.last().map_or(after, |last| Some(last.position));
        seen.extend(page);
    }
    same("each message once", &vec!["a", "b", "c", "d", "e"], &bodies(&seen))
}

async fn claims(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a", "b", "c"]).await?;
    let seen = browse(stage, &queue, None, 10).await?;
    let position = seen.get(1).map_or(0, |message| message.position);
    let delivery = claim(stage, &queue, position).await?;
    same("the body of the claimed message", &"b", &&*text(&delivery))?;
    nothing_at(stage, &queue, position, "no second claim of a message in flight").await?;
    stage.done(delivery).await?;
    nothing_at(stage, &queue, position, "no claim of a message that is done").await?;
    nothing_at(stage, &queue, u64::MAX / 4, "no claim where there never was a message").await?;
    same(
        "the messages left",
        &vec!["a", "c"],
        &bodies(&browse(stage, &queue, None, 10).await?),
    )
}

async fn claim_dropped(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["a"]).await?;
    let seen = browse(stage, &queue, None, 1).await?;
    let position = seen.first().map_or(0, |message| message.position);
    drop(claim(stage, &queue, position).await?);
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    stage.done(delivery).await
}

async fn unsupported(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    use crate::{QueueError, conformance::stage::refused};
    stage.declare(&queue, &["work"]).await?;
    let right = |error: &QueueError| matches!(error, QueueError::Unsupported { .. });
    refused("browse to be unsupported", queue.browse("work", None, 1).await, right)?;
    refused("claim to be unsupported", queue.claim("work", 1).await, right)
}

async fn browse(
    stage: &Stage<'_>,
    queue: &Arc<dyn Queue>,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<Browsed>, Halt> {
    stage.ok("browse", queue.browse("work", after, limit)).await
}

async fn claim(stage: &Stage<'_>, queue: &Arc<dyn Queue>, position: u64) -> Result<crate::Delivery, Halt> {
    let claimed = stage.ok("claim a position", queue.claim("work", position)).await?;
    claimed.ok_or_else(|| Halt::broken("the message that browsing showed", "none"))
}

async fn nothing_at(stage: &Stage<'_>, queue: &Arc<dyn Queue>, position: u64, expected: &str) -> Ended {
    let claimed = stage.ok("claim a position", queue.claim("work", position)).await?;
    holds(expected, claimed.is_none(), || claimed.iter().map(text).collect())
}

fn bodies(browsed: &[Browsed]) -> Vec<&str> {
    browsed
        .iter()
        .map(|message| std::str::from_utf8(&message.body).unwrap_or("other bytes"))
        .collect()
}
