//! What only the memory transport does; the rest is the conformance kit's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use queues::{Again, Put, Queue, QueueSpec, Settle, memory::MemoryQueue};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

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
    // In this order: the paused one would hear of the message first.
    let taken = tokio::select! {
        biased;
        _ = paused.take() => panic!("a paused consumer took"),
        taken = timeout(Duration::from_secs(5), ready.take()) => taken.expect("the message to come").unwrap(),
        () = async {
            queue.put(vec![Put::new("a", "x")]).await.unwrap();
            std::future::pending::<()>().await;
        } => unreachable!("it never ends"),
    };
    assert_eq!(taken.body(), "x");
}

/// Takes with every whim: gives up takes, pauses, drops deliveries and itself, puts back with and without a delay.
async fn whimsical(queue: MemoryQueue, seed: u64, left: Arc<AtomicI64>) {
    let mut random = fastrand::Rng::with_seed(seed);
    while left.load(Ordering::SeqCst) > 0 {
        let mut consumer = queue
            .consume("a", random.usize(1..4))
            .await
            .expect("the queue is declared");
        for _ in 0..random.usize(1..30) {
            let patience = Duration::from_micros(random.u64(0..3_000));
            let Ok(taken) = timeout(patience, consumer.take()).await else {
                continue;
            };
            let delivery = taken.expect("the queue is open");
            let settled = match random.u8(0..8) {
                0 => {
                    drop(delivery);
                    continue;
                }
                1 => delivery.settle(Settle::Again(Again::UNCOUNTED)).await,
                2 => {
                    delivery
                        .settle(Settle::Again(Again::lost(Duration::from_millis(random.u64(1..20)))))
                        .await
                }
                3 => {
                    consumer.set_credit(0);
                    let settled = delivery.settle(Settle::Again(Again::UNCOUNTED)).await;
                    consumer.set_credit(2);
                    settled
                }
                _ => {
                    left.fetch_sub(1, Ordering::SeqCst);
                    delivery.settle(Settle::Done).await
                }
            };
            settled.expect("a held delivery can be settled");
        }
    }
}

/// A wake-up that went to a consumer which gave up, paused or left must reach the one that waits for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wake_up_is_lost_among_consumers_with_whims() {
    const MESSAGES: u16 = 2_000;
    let seed = fastrand::u64(..);
    let queue = with_queue("a").await;
    let left = Arc::new(AtomicI64::new(i64::from(MESSAGES)));
    let mut tasks = JoinSet::new();
    for number in 0..6 {
        tasks.spawn(whimsical(queue.clone(), seed.wrapping_add(number), Arc::clone(&left)));
    }
    for number in 0..MESSAGES {
        queue.put(vec![Put::new("a", number.to_string())]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let patient = async {
        let mut consumer = queue.consume("a", 1).await.unwrap();
        while left.load(Ordering::SeqCst) > 0 {
            if let Ok(taken) = timeout(Duration::from_secs(1), consumer.take()).await {
                left.fetch_sub(1, Ordering::SeqCst);
                taken.unwrap().settle(Settle::Done).await.unwrap();
            }
        }
        while tasks.join_next().await.is_some() {}
    };
    assert!(
        timeout(Duration::from_mins(1), patient).await.is_ok(),
        "messages are stuck, seed {seed}"
    );
    let stats = queue.stats().await.unwrap().remove(0);
    assert_eq!(
        (stats.depth, stats.in_flight, stats.delayed),
        (Some(0), Some(0), Some(0)),
        "seed {seed}"
    );
}

/// The strictest form: nobody looks again by a clock, so one lost wake-up leaves a message where it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_wakes_someone_who_waits() {
    let queue = with_queue("a").await;
    let mut waiting = JoinSet::new();
    for _ in 0..4 {
        let mut consumer = queue.consume("a", 1).await.unwrap();
        waiting.spawn(async move {
            for _ in 0..500 {
                consumer.take().await.unwrap().settle(Settle::Done).await.unwrap();
            }
        });
    }
    let mut fickle = queue.consume("a", 1).await.unwrap();
    for number in 0..2_000_u32 {
        // Waits first in line at times, and is gone when the message comes.
        let _ = polled_once(fickle.take()).await;
        queue.put(vec![Put::new("a", number.to_string())]).await.unwrap();
    }
    drop(fickle);
    let all = async { while waiting.join_next().await.is_some() {} };
    assert!(
        timeout(Duration::from_secs(30), all).await.is_ok(),
        "{:?}",
        queue.stats().await
    );
}

/// Polls a future once and drops it, with what it may have brought: a delivery goes back.
async fn polled_once<T>(future: impl Future<Output = T>) -> Option<T> {
    timeout(Duration::ZERO, future).await.ok()
}
