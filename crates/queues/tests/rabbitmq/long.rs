//! Handlers that work for longer than the broker waits.

use std::time::Duration;

use queues::{
    Queue, Settle,
    rabbitmq::{LongJobs, QueueType, RabbitOptions},
};
use tokio::time::{sleep, timeout};

use crate::bench::{QUIET, broker, consume, declare, open, options, put, ready, take};

fn parking() -> RabbitOptions {
    RabbitOptions {
        long_jobs: LongJobs::Park,
        // Parked after a second; a copy lives for two.
        consumer_timeout: Duration::from_secs(2),
        ..options()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_message_is_nobody_elses_for_as_long_as_it_is_worked_on() {
    for queue_type in [QueueType::Quorum, QueueType::Classic] {
        let (url, options) = (
            broker(),
            RabbitOptions {
                queue_type,
                ..parking()
            },
        );
        let queue = open(&url, &options);
        let name = declare(&queue, &options, "work").await;
        put(&queue, &name, "long").await;
        let mut consumer = consume(&queue, &name, 1).await;
        let working = take(&mut consumer).await;
        let other = open(&url, &options);
        let mut elsewhere = consume(&other, &name, 1).await;
        // Three lives of a copy.
        assert!(
            timeout(Duration::from_secs(6), elsewhere.take()).await.is_err(),
            "it was given out again"
        );
        working.settle(Settle::Done).await.unwrap();
        assert!(
            timeout(Duration::from_secs(3), elsewhere.take()).await.is_err(),
            "its copy stayed"
        );
        queue.close().await;
        other.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_message_comes_again_when_its_holder_dies() {
    let (url, options) = (broker(), parking());
    let line = rabbit_node::Proxy::between(crate::bench::address(&url)).unwrap();
    let queue = open(&line.url(&url), &options);
    let name = declare(&queue, &options, "work").await;
    put(&queue, &name, "long").await;
    let mut consumer = consume(&queue, &name, 1).await;
    let working = take(&mut consumer).await;
    // Parked, and renewed at least once.
    sleep(Duration::from_secs(2)).await;
    line.refuse();
    let other = open(&url, &options);
    let mut elsewhere = consume(&other, &name, 1).await;
    let again = take(&mut elsewhere).await;
    assert_eq!(
        (again.body(), again.tally().deliveries),
        (&bytes::Bytes::from_static(b"long"), Some(2))
    );
    again.settle(Settle::Done).await.unwrap();
    drop(working);
    queue.close().await;
    assert!(timeout(QUIET, elsewhere.take()).await.is_err());
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_message_can_be_put_back() {
    let (url, options) = (broker(), parking());
    let queue = open(&url, &options);
    let name = declare(&queue, &options, "work").await;
    put(&queue, &name, "long").await;
    let mut consumer = consume(&queue, &name, 1).await;
    let working = take(&mut consumer).await;
    sleep(Duration::from_secs(2)).await;
    working.settle(Settle::Again(queues::Again::UNCOUNTED)).await.unwrap();
    let again = take(&mut consumer).await;
    assert_eq!(again.tally().deliveries, Some(1));
    drop(again);
    let again = take(&mut consumer).await;
    again.settle(Settle::Done).await.unwrap();
    drop(consumer);
    ready(&queue, &name, 0).await;
    queue.close().await;
}
