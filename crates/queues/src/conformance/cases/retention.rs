//! Trimming of queues that nobody consumes.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::Case;
use crate::{
    Queue, QueueSpec, Retention,
    conformance::stage::{Ended, Stage, same, text},
};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "a queue that nobody consumes keeps the newest up to its number",
        |s, q| Box::pin(by_number(s, q)),
    ),
    Case::new(
        "a queue that nobody consumes keeps messages no longer than their time",
        |s, q| Box::pin(by_age(s, q)),
    ),
    Case::new("a queue with a consumer is never trimmed", |s, q| {
        Box::pin(never_with_consumer(s, q))
    }),
    Case::new(
        "retention can be changed, and declaring without one leaves it",
        |s, q| Box::pin(changed(s, q)),
    ),
];

async fn by_number(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    retain(
        stage,
        &queue,
        Retention {
            keep: None,
            max: Some(2),
        },
    )
    .await?;
    stage.put(&queue, "end", &["a", "b", "c", "d", "e"]).await?;
    trimmed_to(stage, &queue, 2).await?;
    left(stage, &queue, &["d", "e"]).await
}

async fn by_age(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    let keep = Duration::from_millis(500);
    retain(
        stage,
        &queue,
        Retention {
            keep: Some(keep),
            max: None,
        },
    )
    .await?;
    stage.put(&queue, "end", &["old"]).await?;
    same(
        "the number kept within the time",
        &1,
        &stage.stats(&queue, "end").await?.depth.unwrap_or(1),
    )?;
    sleep(keep + Duration::from_millis(10)).await;
    stage.put(&queue, "end", &["new"]).await?;
    trimmed_to(stage, &queue, 1).await?;
    left(stage, &queue, &["new"]).await
}

async fn never_with_consumer(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    let keep = Duration::from_millis(20);
    retain(
        stage,
        &queue,
        Retention {
            keep: Some(keep),
            max: Some(1),
        },
    )
    .await?;
    let mut consumer = stage.consume(&queue, "end", 0).await?;
    stage.put(&queue, "end", &["a", "b", "c"]).await?;
    sleep(keep + stage.quiet()).await;
    stage.put(&queue, "end", &["d"]).await?;
    consumer.set_credit(4);
    let mut seen: Vec<_> = stage.take_many(&mut consumer, 4).await?.iter().map(text).collect();
    seen.sort();
    same(
        "every message",
        &["a", "b", "c", "d"].map(str::to_owned).to_vec(),
        &seen,
    )
}

async fn changed(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    retain(
        stage,
        &queue,
        Retention {
            keep: None,
            max: Some(1),
        },
    )
    .await?;
    retain(
        stage,
        &queue,
        Retention {
            keep: None,
            max: Some(3),
        },
    )
    .await?;
    stage.declare(&queue, &["end"]).await?;
    stage.put(&queue, "end", &["a", "b", "c", "d", "e"]).await?;
    trimmed_to(stage, &queue, 3).await?;
    left(stage, &queue, &["c", "d", "e"]).await
}

async fn retain(stage: &Stage<'_>, queue: &Arc<dyn Queue>, retention: Retention) -> Ended {
    let spec = QueueSpec {
        retention: Some(retention),
        ..QueueSpec::new("end")
    };
    stage.ok("declare a queue with retention", queue.declare(&[spec])).await
}

async fn trimmed_to(stage: &Stage<'_>, queue: &Arc<dyn Queue>, count: u64) -> Ended {
    let expected = format!("{count} messages kept");
    stage
        .figures(queue, "end", &expected, |stats| {
            stats.depth.is_none_or(|depth| depth == count)
        })
        .await
}

async fn left(stage: &Stage<'_>, queue: &Arc<dyn Queue>, expected: &[&str]) -> Ended {
    let mut consumer = stage.consume(queue, "end", expected.len() + 1).await?;
    let held = stage.take_many(&mut consumer, expected.len()).await?;
    let mut seen: Vec<_> = held.iter().map(text).collect();
    seen.sort();
    same(
        "the messages kept",
        &expected.iter().map(ToString::to_string).collect::<Vec<_>>(),
        &seen,
    )?;
    stage.nothing(&mut consumer, "no message beyond those kept").await
}
