//! Putting and taking.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;

use super::Case;
use crate::{
    Put, Queue, QueueError,
    conformance::stage::{Ended, Halt, Stage, holds, names_queue, refused, same, text},
};

pub(super) const CASES: &[Case] = &[
    Case::new("messages are taken in the order they were put", |s, q| {
        Box::pin(order(s, q))
    })
    .where_promised(|p| p.order),
    Case::new("a body comes back byte for byte, an empty one too", |s, q| {
        Box::pin(bodies(s, q))
    }),
    Case::new("a body of 1 MiB goes through whole", |s, q| Box::pin(mebibyte(s, q)))
        .where_promised(|p| p.max_bytes.is_none_or(|limit| limit >= MIB as u64)),
    Case::new(
        "a body over the limit is refused with the limit, and nothing is put",
        |s, q| Box::pin(too_large(s, q)),
    )
    .where_promised(|p| p.max_bytes.is_some_and(|limit| limit <= LARGEST_TRIED)),
    Case::new("a queue that nobody declared is an error that names it", |s, q| {
        Box::pin(undeclared(s, q))
    }),
    Case::new("declaring a queue again leaves its messages alone", |s, q| {
        Box::pin(declared_again(s, q))
    }),
    Case::new("a put of many is all or nothing", |s, q| Box::pin(all_or_nothing(s, q)))
        .where_promised(|p| p.atomic_forward),
    Case::new("take_now gives what is ready and says when nothing is", |s, q| {
        Box::pin(take_now(s, q))
    }),
    Case::new("a take waits until a message is put", |s, q| Box::pin(waits(s, q))),
    Case::new("a take that is given up loses nothing", |s, q| Box::pin(given_up(s, q))),
];

const MIB: usize = 1024 * 1024;
/// Limits beyond this are believed: trying them takes more memory than a test should.
const LARGEST_TRIED: u64 = 64 * 1024 * 1024;

async fn order(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let expected: Vec<_> = (0..200).map(|number| number.to_string()).collect();
    for batch in expected.chunks(7) {
        let puts = batch.iter().map(|body| Put::new("work", body.clone())).collect();
        stage.ok("put messages", queue.put(puts)).await?;
    }
    let mut consumer = stage.consume(&queue, "work", 10).await?;
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        let delivery = stage.take(&mut consumer).await?;
        seen.push(text(&delivery));
        stage.done(delivery).await?;
    }
    same("the order of the puts", &expected, &seen)
}

async fn bodies(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let bodies = [
        Bytes::new(),
        every_byte.into(),
        Bytes::from_static(b"\0'\"\r\n\xff\xfe--;"),
        Bytes::from_static(b"{}"),
    ];
    for body in bodies {
        stage
            .ok("put a message", queue.put(vec![Put::new("work", body.clone())]))
            .await?;
        let mut consumer = stage.consume(&queue, "work", 1).await?;
        let delivery = stage.take(&mut consumer).await?;
        same("the body", &body, delivery.body())?;
        same("the queue it came from", &"work", &&**delivery.queue())?;
        stage.done(delivery).await?;
    }
    Ok(())
}

async fn mebibyte(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let mut random = fastrand::Rng::with_seed(1);
    let body: Bytes = std::iter::repeat_with(|| random.u8(..)).take(MIB).collect();
    stage
        .ok(
            "put a message of 1 MiB",
            queue.put(vec![Put::new("work", body.clone())]),
        )
        .await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    holds("the same 1 MiB", body == delivery.body(), || {
        format!("{} other bytes", delivery.body().len())
    })?;
    stage.done(delivery).await
}

async fn too_large(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let limit = queue.promises().max_bytes.ok_or(Halt::NotPromised)?;
    let size = usize::try_from(limit).map_err(|_| Halt::NotPromised)?;
    let body = |bytes: usize| Put::new("work", vec![b'x'; bytes]);
    stage
        .ok("put a message of just the limit", queue.put(vec![body(size)]))
        .await?;
    refused(
        "`TooLarge` with size and limit",
        queue.put(vec![body(size + 1)]).await,
        |error| {
            matches!(error, QueueError::TooLarge { queue, bytes, limit: said }
            if queue == "work" && *bytes == limit + 1 && *said == limit)
        },
    )?;
    let mut consumer = stage.consume(&queue, "work", 2).await?;
    let _first = stage.take(&mut consumer).await?;
    stage.nothing(&mut consumer, "only the message within the limit").await
}

async fn undeclared(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let named = |error: &QueueError| names_queue(error, "nowhere");
    stage.begin("put to a queue that nobody declared");
    refused(
        "put to say `NoQueue` with the name",
        queue.put(vec![Put::new("nowhere", "x")]).await,
        named,
    )?;
    stage.begin("consume a queue that nobody declared");
    refused(
        "consume to say `NoQueue` with the name",
        queue.consume("nowhere", 1).await,
        named,
    )?;
    if queue.promises().browse {
        stage.begin("browse a queue that nobody declared");
        refused(
            "browse to say `NoQueue` with the name",
            queue.browse("nowhere", None, 1).await,
            named,
        )?;
        refused(
            "claim to say `NoQueue` with the name",
            queue.claim("nowhere", 1).await,
            named,
        )?;
    }
    let exists = stage.ok("ask whether a queue exists", queue.exists("nowhere")).await?;
    same("whether the undeclared queue exists, after all that", &false, &exists)?;
    let exists = stage.ok("ask whether a queue exists", queue.exists("work")).await?;
    same("whether the declared queue exists", &true, &exists)
}

async fn declared_again(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    stage.put(&queue, "work", &["kept"]).await?;
    stage.declare(&queue, &["work", "more"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let delivery = stage.take(&mut consumer).await?;
    same("the message put before", &"kept", &&*text(&delivery))?;
    stage.done(delivery).await
}

async fn all_or_nothing(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let puts = vec![
        Put::new("work", "first"),
        Put::new("nowhere", "second"),
        Put::new("work", "third"),
    ];
    refused("`NoQueue` with the name", queue.put(puts).await, |error| {
        names_queue(error, "nowhere")
    })?;
    let mut consumer = stage.consume(&queue, "work", 3).await?;
    stage.nothing(&mut consumer, "nothing of a put that was refused").await
}

async fn take_now(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let mut consumer = stage.consume(&queue, "work", 10).await?;
    if let Some(delivery) = stage.ok("take now", consumer.take_now()).await? {
        return Err(Halt::broken("nothing in an empty queue", text(&delivery)));
    }
    stage.put(&queue, "work", &["a", "b", "c"]).await?;
    // A first taken by waiting, so that a transport that fetches ahead had its chance.
    let mut taken = vec![stage.take(&mut consumer).await?];
    let mut idle = 0;
    while idle < 20 && taken.len() < 4 {
        if let Some(delivery) = stage.ok("take now", consumer.take_now()).await? {
            taken.push(delivery);
        } else {
            idle += 1;
            tokio::time::sleep(stage.quiet() / 10).await;
        }
    }
    let mut seen: Vec<_> = taken.iter().map(text).collect();
    seen.sort();
    same(
        "each ready message once",
        &vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
        &seen,
    )?;
    for delivery in taken {
        stage.done(delivery).await?;
    }
    Ok(())
}

async fn waits(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let mut consumer = stage.consume(&queue, "work", 1).await?;
    let (taken, put) = tokio::join!(stage.take(&mut consumer), async {
        tokio::time::sleep(stage.quiet()).await;
        queue.put(vec![Put::new("work", "late")]).await
    });
    stage.ok("put a message", async { put }).await?;
    let delivery = taken?;
    same("the message", &"late", &&*text(&delivery))?;
    stage.done(delivery).await
}

async fn given_up(stage: &Stage<'_>, queue: Arc<dyn Queue>) -> Ended {
    stage.declare(&queue, &["work"]).await?;
    let mut consumer = stage.consume(&queue, "work", 4).await?;
    let mut seen = Vec::new();
    for number in 0..40_u64 {
        let put = async {
            tokio::time::sleep(Duration::from_micros(number * 50)).await;
            queue.put(vec![Put::new("work", number.to_string())]).await
        };
        let (put, taken) = tokio::join!(put, timeout(Duration::from_millis(1), consumer.take()));
        stage.ok("put a message", async { put }).await?;
        if let Ok(taken) = taken {
            let delivery = stage.ok("take a message", async { taken }).await?;
            seen.push(text(&delivery));
            stage.done(delivery).await?;
        }
    }
    stage.begin("give up takes of a message that is ready");
    stage
        .ok("put a message", queue.put(vec![Put::new("work", "40")]))
        .await?;
    for _ in 0..20 {
        if let Ok(taken) = timeout(Duration::ZERO, consumer.take()).await {
            let delivery = stage.ok("take a message", async { taken }).await?;
            seen.push(text(&delivery));
            stage.done(delivery).await?;
        }
    }
    while seen.len() < 41 {
        let delivery = stage.take(&mut consumer).await?;
        seen.push(text(&delivery));
        stage.done(delivery).await?;
    }
    seen.sort_by_key(|number| number.parse::<u64>().unwrap_or(u64::MAX));
    same(
        "each message once",
        &(0..41).map(|number| number.to_string()).collect(),
        &seen,
    )?;
    stage.nothing(&mut consumer, "no message a second time").await
}
