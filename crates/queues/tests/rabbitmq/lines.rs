//! The line to the broker is cut while there is work.

use std::time::Duration;

use queues::{Again, Put, Queue, Settle, rabbitmq::QueueType};
use rabbit_node::Proxy;
use tokio::time::{sleep, timeout};

use crate::bench::{PATIENCE, QUIET, address, broker, consume, declare, lost, open, options, put, ready, take};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_worked_on_is_not_handed_out_again_after_a_cut() {
    for queue_type in [QueueType::Quorum, QueueType::Classic] {
        let (url, options) = (
            broker(),
            queues::rabbitmq::RabbitOptions {
                queue_type,
                ..options()
            },
        );
        let line = Proxy::between(address(&url)).unwrap();
        let queue = open(&line.url(&url), &options);
        let name = declare(&queue, &options, "work").await;
        put(&queue, &name, "long").await;
        let mut consumer = consume(&queue, &name, 2).await;
        let working = take(&mut consumer).await;

        line.cut();
        lost(&mut consumer).await;
        let mut consumer = consume(&queue, &name, 2).await;
        put(&queue, &name, "other").await;
        let other = take(&mut consumer).await;
        assert_eq!(other.body(), "other", "the first is still worked on");
        other.settle(Settle::Done).await.unwrap();
        assert!(
            timeout(QUIET, consumer.take()).await.is_err(),
            "it was handed out twice"
        );

        working.settle(Settle::Done).await.unwrap();
        drop(consumer);
        queue.close().await;
        let queue = open(&url, &options);
        declare(&queue, &options, "work").await;
        ready(&queue, &name, 0).await;
        let mut consumer = consume(&queue, &name, 1).await;
        assert!(timeout(QUIET, consumer.take()).await.is_err(), "it was acknowledged");
        queue.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_handed_out_yet_is_handed_out_after_a_cut() {
    let (url, options) = (broker(), options());
    let line = Proxy::between(address(&url)).unwrap();
    let (queue, straight) = (open(&line.url(&url), &options), open(&url, &options));
    declare(&straight, &options, "work").await;
    let name = declare(&queue, &options, "work").await;
    put(&queue, &name, "first").await;
    put(&queue, &name, "second").await;
    let consumer = consume(&queue, &name, 2).await;
    // Both are with us, and nobody has asked for them.
    ready(&straight, &name, 0).await;
    line.cut();
    ready(&straight, &name, 2).await;
    let mut again = consume(&queue, &name, 2).await;
    for body in ["first", "second"] {
        let delivery = take(&mut again).await;
        assert_eq!(delivery.body(), body);
        delivery.settle(Settle::Done).await.unwrap();
    }
    drop(consumer);
    queue.close().await;
    straight.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_finished_while_the_line_was_down_is_acknowledged_when_it_comes_again() {
    let (url, options) = (broker(), options());
    let line = Proxy::between(address(&url)).unwrap();
    let queue = open(&line.url(&url), &options);
    let name = declare(&queue, &options, "work").await;
    let next = declare(&queue, &options, "next").await;
    for body in ["a", "b", "c"] {
        put(&queue, &name, body).await;
    }
    let mut consumer = consume(&queue, &name, 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(take(&mut consumer).await);
    }
    line.refuse();
    lost(&mut consumer).await;
    let (c, b, a) = (held.pop().unwrap(), held.pop().unwrap(), held.pop().unwrap());
    let done = tokio::spawn(a.settle(Settle::Done));
    let forwarded = tokio::spawn(b.forward(vec![Put::new(next.as_str(), "output")]));
    let again = tokio::spawn(c.settle(Settle::Again(Again::attempt(2, Duration::ZERO))));
    // All three are under way while nobody answers.
    sleep(QUIET).await;
    line.accept();
    let mut consumer = consume(&queue, &name, 3).await;
    let came = take(&mut consumer).await;
    assert_eq!(
        (came.body(), came.tally().attempt),
        (&bytes::Bytes::from_static(b"c"), Some(2))
    );
    came.settle(Settle::Done).await.unwrap();
    for settled in [done.await, again.await] {
        settled.unwrap().unwrap();
    }
    forwarded.await.unwrap().unwrap();
    assert!(timeout(QUIET, consumer.take()).await.is_err(), "nothing a second time");
    drop(consumer);
    ready(&queue, &name, 0).await;
    ready(&queue, &next, 1).await;
    queue.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_while_the_line_fell_is_acknowledged_again_and_not_handed_out_again() {
    let (url, options) = (broker(), options());
    let line = Proxy::between(address(&url)).unwrap();
    let queue = open(&line.url(&url), &options);
    let name = declare(&queue, &options, "work").await;
    for body in ["a", "b", "c"] {
        put(&queue, &name, body).await;
    }
    let mut consumer = consume(&queue, &name, 3).await;
    let heard = take(&mut consumer).await;
    let held = [take(&mut consumer).await, take(&mut consumer).await];
    heard.settle(Settle::Done).await.unwrap();
    // Written, as far as anybody here knows, and heard by nobody.
    line.stall();
    for delivery in held {
        delivery.settle(Settle::Done).await.unwrap();
    }
    line.cut();
    line.flow();
    lost(&mut consumer).await;
    let mut consumer = consume(&queue, &name, 3).await;
    assert!(timeout(QUIET, consumer.take()).await.is_err(), "nothing a second time");
    // The same once more is something new.
    put(&queue, &name, "b").await;
    take(&mut consumer).await.settle(Settle::Done).await.unwrap();
    drop(consumer);
    ready(&queue, &name, 0).await;
    queue.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_whose_confirm_was_cut_off_is_put_again_and_returns_when_it_is_safe() {
    let (url, options) = (broker(), options());
    let line = Proxy::between(address(&url)).unwrap();
    let queue = std::sync::Arc::new(open(&line.url(&url), &options));
    let name = declare(&queue, &options, "work").await;
    put(&queue, &name, "first").await;
    // Written, as far as anybody here knows, and never confirmed.
    line.stall();
    let putting = tokio::spawn({
        let (queue, name) = (std::sync::Arc::clone(&queue), name.clone());
        async move { queue.put(vec![Put::new(name, "second")]).await }
    });
    sleep(QUIET).await;
    assert!(!putting.is_finished(), "nothing is safe before its confirm");
    line.cut();
    line.flow();
    timeout(PATIENCE, putting).await.unwrap().unwrap().unwrap();
    let mut consumer = consume(&queue, &name, 10).await;
    let first = take(&mut consumer).await;
    assert_eq!(first.body(), "first");
    assert_eq!(take(&mut consumer).await.body(), "second");
    queue.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_an_error_that_passes_and_a_close_does_not_wait_for_it() {
    let (url, options) = (broker(), options());
    let line = Proxy::between(address(&url)).unwrap();
    line.refuse();
    let queue = open(&line.url(&url), &options);
    let error = queue.declare(&[]).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    line.accept();
    queue.declare(&[]).await.unwrap();
    line.refuse();
    timeout(PATIENCE, queue.close()).await.expect("close returns");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_is_declared_again_where_it_was_declared() {
    let (url, options) = (broker(), options());
    let queue = open(&url, &options);
    let name = declare(&queue, &options, "work").await;
    let mut consumer = consume(&queue, &name, 1).await;
    delete(&url, &name).await;
    lost(&mut consumer).await;
    put(&queue, &name, "after").await;
    let mut consumer = consume(&queue, &name, 1).await;
    assert_eq!(take(&mut consumer).await.body(), "after");
    queue.close().await;
}

async fn delete(url: &str, name: &str) {
    let connection = lapin::Connection::connect(url, lapin::ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .queue_delete(name.into(), lapin::options::QueueDeleteOptions::default())
        .await
        .unwrap();
    connection.close(200, "done".into()).await.unwrap();
}
