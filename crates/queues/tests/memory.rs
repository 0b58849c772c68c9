//! What only the memory transport does; the rest is the conformance kit's.

use std::time::Duration;

use bytes::Bytes;
use queues::{Again, Put, Queue, QueueSpec, Settle, memory::MemoryQueue};
use tokio::time::Instant;

async fn with_queue(name: &str) -> MemoryQueue {
    let queue = MemoryQueue::new();
    queue
        .declare(&[QueueSpec::new(name)])
        .await
        .expect("a new queue takes declarations");
    queue
}

#[tokio::test]
async fn bodies_are_shared_and_never_copied() {
    let queue = with_queue("a").await;
    let body = Bytes::from(vec![7; 100_000]);
    queue.put(vec![Put::new("a", body.clone())]).await.unwrap();
    let delivery = queue.consume("a", 1).await.unwrap().take().await.unwrap();
    assert_eq!(delivery.body().as_ptr(), body.as_ptr());
}

#[tokio::test(start_paused = true)]
async fn delays_follow_a_paused_clock_to_the_millisecond() {
    let queue = with_queue("a").await;
    queue.put(vec![Put::new("a", "x")]).await.unwrap();
    let mut consumer = queue.consume("a", 1).await.unwrap();
    let begun = Instant::now();
    let delivery = consumer.take().await.unwrap();
    delivery
        .settle(Settle::Again(Again::attempt(2, Duration::from_hours(1))))
        .await
        .unwrap();
    let delivery = consumer.take().await.unwrap();
    let waited = begun.elapsed();
    assert!(
        waited >= Duration::from_hours(1) && waited < Duration::from_millis(3_600_002),
        "{waited:?}"
    );
    assert_eq!(delivery.tally().attempt, Some(2));
}

#[tokio::test]
async fn each_opening_is_a_queue_of_its_own() {
    let folder = std::path::Path::new(".");
    let (one, two) = (
        queues::open("memory:", folder).await.unwrap(),
        queues::open("memory:", folder).await.unwrap(),
    );
    one.declare(&[QueueSpec::new("a")]).await.unwrap();
    assert!(one.exists("a").await.unwrap());
    assert!(!two.exists("a").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_lost_its_credit_lets_another_have_the_message() {
    let queue = with_queue("a").await;
    let mut paused = queue.consume("a", 1).await.unwrap();
    let mut ready = queue.consume("a", 1).await.unwrap();
    // It waits first, so the news of the message would be its.
    {
        let mut waiting = std::pin::pin!(paused.take());
        assert!(tokio::time::timeout(Duration::ZERO, waiting.as_mut()).await.is_err());
    }
    paused.set_credit(0);
    let (taken, ()) = tokio::join!(
        async {
            tokio::select! {
                taken = ready.take() => taken.unwrap(),
                _ = paused.take() => panic!("a paused consumer took"),
            }
        },
        async { queue.put(vec![Put::new("a", "x")]).await.unwrap() }
    );
    assert_eq!(taken.body(), "x");
}
