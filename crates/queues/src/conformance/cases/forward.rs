//! Outputs and the end of a delivery, together.

use std::sync::Arc;

use super::Case;
use crate::{
    Delivery, ForwardError, Put, Queue, QueueError,
    conformance::stage::{Ended, Halt, Stage, holds, names_queue, same, text},
};

pub(super) const CASES: &[Case] = &[
    Case::new("forward puts every output and ends the delivery", |s, q| {
        Box::pin(forwards(s, q))
    }),
    Case::new("forward of nothing just ends the delivery", |s, q| {
        Box::pin(nothing(s, q))
    }),
    Case::new("a refused forward gives the delivery back, still held", |s, q| {
        Box::pin(given_back(s, q))
    }),
    Case::new("a refused forward puts none of its outputs", |s, q| {
        Box::pin(puts_none(s, q))
    })
    .where_promised(|p| p.atomic_forward),
    Case::new("an output over the limit is refused, and nothing is settled", |s, q| {
        Box::pin(too_large(s, q))
    })
    .where_promised(|p| p.max_bytes.is_some_and(|limit| limit <= 64 * 1024 * 1024)),
];

async fn forwards(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work", "next", "end"]).await?;
    stage.put(&queue, "work", &["in"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    let outputs = vec![
        Put::new("next", "one"),
        Put::new("end", "two"),
        Put::new("next", "three"),
    ];
    stage.forward(delivery, outputs).await?;
    let mut next = stage.consume(&queue, "next", 5).await?;
    let outputs = stage.take_many(&mut next, 2).await?;
    let mut seen: Vec<_> = outputs.iter().map(text).collect();
    seen.sort();
    same(
        "the outputs to one queue",
        &vec!["one".to_owned(), "three".to_owned()],
        &seen,
    )?;
    let mut end = stage.consume(&queue, "end", 5).await?;
    same("the output to the other", &"two", &&*text(&stage.take(&mut end).await?))?;
    stage.nothing(&mut consumer, "the input to be gone").await
}

async fn nothing(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["in"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    stage.forward(delivery, Vec::new()).await?;
    stage.nothing(&mut consumer, "the input to be gone").await
}

async fn given_back(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["in"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    let delivery = refuse(stage, delivery, vec![Put::new("nowhere", "x")], |error| {
        names_queue(error, "nowhere")
    })
    .await?;
    same("the body of the delivery given back", &"in", &&*text(&delivery))?;
    stage
        .nothing(&mut consumer, "the delivery to be held and its credit used")
        .await?;
    stage
        .again(delivery, crate::Again::attempt(2, std::time::Duration::ZERO))
        .await?;
    let delivery = stage.take(&mut consumer).await?;
    same(
        "the attempt it was settled with after all",
        &Some(2),
        &delivery.tally().attempt,
    )?;
    stage.done(delivery).await
}

async fn puts_none(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work", "next"]).await?;
    stage.put(&queue, "work", &["in"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    let outputs = vec![Put::new("next", "one"), Put::new("nowhere", "two")];
    let _held = refuse(stage, delivery, outputs, |error| names_queue(error, "nowhere")).await?;
    let mut next = stage.consume(&queue, "next", 2).await?;
    stage
        .nothing(&mut next, "no output of a forward that was refused")
        .await
}

async fn too_large(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work", "next"]).await?;
    let limit = queue.promises().max_bytes.ok_or(Halt::NotPromised)?;
    let size = usize::try_from(limit).map_err(|_| Halt::NotPromised)?;
    stage.put(&queue, "work", &["in"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    let outputs = vec![Put::new("next", vec![b'x'; size + 1])];
    let delivery = refuse(stage, delivery, outputs, |error| {
        matches!(error, QueueError::TooLarge { .. })
    })
    .await?;
    stage.done(delivery).await?;
    let mut next = stage.consume(&queue, "next", 1).await?;
    stage.nothing(&mut next, "no output that was refused").await
}

/// The delivery back from a forward that has to be refused.
async fn refuse(
    stage: &Stage<'_>,
    delivery: Delivery,
    outputs: Vec<Put>,
    right: impl Fn(&QueueError) -> bool,
) -> Result<Delivery, Halt> {
    stage.begin("forward an output that has to be refused");
    match delivery.forward(outputs).await {
        Err(ForwardError::Refused { delivery, error }) => {
            holds("the refusal to name its reason", right(&error), || error.to_string())?;
            Ok(*delivery)
        }
        Err(ForwardError::Unsettled(error)) => Err(Halt::broken(
            "the delivery back from a refused forward",
            format!("it is gone: {error}"),
        )),
        Ok(()) => Err(Halt::broken("the forward to be refused", "success")),
    }
}
