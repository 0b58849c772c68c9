//! What others are left: replicas, later messages, and those who wait.

use std::{collections::BTreeSet, time::Duration};

use lapin::{options::QueueDeleteOptions, types::FieldTable};
use queues::{Again, Put, Queue, QueueSpec, Retention, Settle, rabbitmq::RabbitOptions};
use rabbit_node::Proxy;
use tokio::time::{Instant, sleep, timeout};

use crate::bench::{PATIENCE, QUIET, address, broker, consume, declare, open, options, put, ready, take};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_anew_is_worked_on_anew_though_its_bytes_were_finished_before() {
    let (url, options) = (broker(), options());
    let line = Proxy::between(address(&url)).unwrap();
    let (one, two) = (open(&line.url(&url), &options), open(&url, &options));
    let name = declare(&one, &options, "work").await;
    put(&one, &name, "order").await;
    let mut first = consume(&one, &name, 1).await;
    let held = take(&mut first).await;
    let mut second = consume(&two, &name, 1).await;
    line.cut();
    take(&mut second).await.settle(Settle::Done).await.unwrap();
    drop(second);
    let settled = tokio::spawn(held.settle(Settle::Done));
    sleep(QUIET).await;
    let mut first = consume(&one, &name, 1).await;
    put(&two, &name, "order").await;
    let anew = take(&mut first).await;
    assert!(!settled.is_finished(), "it was settled by another message");
    anew.settle(Settle::Done).await.unwrap();
    settled.abort();
    one.close().await;
    two.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_whose_credit_goes_up_and_down_holds_no_more_than_the_most_it_was_given() {
    let (url, options) = (broker(), options());
    let queue = open(&url, &options);
    let name = declare(&queue, &options, "work").await;
    queue
        .put((0..60).map(|n| Put::new(name.as_str(), n.to_string())).collect())
        .await
        .unwrap();
    let mut consumer = consume(&queue, &name, 2).await;
    let _working = take(&mut consumer).await;
    for change in 0..20 {
        consumer.set_credit(1 + change % 2);
        sleep(Duration::from_millis(50)).await;
    }
    sleep(QUIET).await;
    ready(&queue, &name, 58).await;
    queue.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_wait_as_it_should_goes_back_and_holds_up_nobody() {
    let (url, options) = (broker(), options());
    let queue = open(&url, &options);
    let name = declare(&queue, &options, "work").await;
    // Somebody has made a queue of that name, with other arguments.
    let connection = lapin::Connection::connect(&url, lapin::ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let taken = format!("{name}.delay.1024ms");
    let durable = lapin::options::QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel
        .queue_declare(taken.as_str().into(), durable, FieldTable::default())
        .await
        .unwrap();
    put(&queue, &name, "a").await;
    let mut consumer = consume(&queue, &name, 1).await;
    let error = take(&mut consumer)
        .await
        .settle(Settle::Again(Again::attempt(2, Duration::from_secs(1))))
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&taken), "{error}");
    take(&mut consumer).await.settle(Settle::Done).await.unwrap();
    channel
        .queue_delete(taken.as_str().into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    connection.close(200, "done".into()).await.unwrap();
    queue.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_who_trim_at_once_leave_what_is_to_be_kept() {
    let url = broker();
    let options = RabbitOptions {
        trim_every: Duration::from_millis(50),
        ..options()
    };
    let name = format!("{}end", options.prefix);
    let spec = |max| {
        let retention = Some(Retention { keep: None, max });
        [QueueSpec {
            retention,
            ..QueueSpec::new(name.as_str())
        }]
    };
    let (one, two) = (open(&url, &options), open(&url, &options));
    one.declare(&spec(None)).await.unwrap();
    one.put((0..1000).map(|n| Put::new(name.as_str(), n.to_string())).collect())
        .await
        .unwrap();
    let to_keep = spec(Some(400));
    tokio::try_join!(one.declare(&to_keep), two.declare(&to_keep)).unwrap();
    ready(&one, &name, 400).await;
    sleep(QUIET).await;
    ready(&one, &name, 400).await;
    one.close().await;
    two.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_trimmed_by_age_is_looked_at_once_and_not_again_before_its_time() {
    let url = broker();
    let options = RabbitOptions {
        trim_every: Duration::from_millis(50),
        ..options()
    };
    let queue = open(&url, &options);
    let name = format!("{}end", options.prefix);
    let retention = Some(Retention {
        keep: Some(Duration::from_hours(1)),
        max: None,
    });
    queue
        .declare(&[QueueSpec {
            retention,
            ..QueueSpec::new(name.as_str())
        }])
        .await
        .unwrap();
    put(&queue, &name, "kept").await;
    sleep(Duration::from_secs(1)).await;
    let mut consumer = consume(&queue, &name, 1).await;
    let deliveries = take(&mut consumer).await.tally().deliveries;
    assert!(deliveries <= Some(2), "{deliveries:?}");
    queue.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_queue_lives_on_for_as_long_as_it_is_used() {
    let url = broker();
    // It ends seven seconds after its last use.
    let options = RabbitOptions {
        keep_unused: Duration::from_secs(4),
        ..options()
    };
    let queue = open(&url, &options);
    let name = declare(&queue, &options, "work").await;
    let mut consumer = consume(&queue, &name, 200).await;
    let (mut sent, mut back) = (BTreeSet::new(), BTreeSet::new());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) || back.len() < sent.len() {
        assert!(
            begun.elapsed() < PATIENCE + Duration::from_secs(20),
            "lost: {:?}",
            sent.difference(&back)
        );
        if begun.elapsed() < Duration::from_secs(20) {
            let body = format!("m{}", sent.len());
            put(&queue, &name, &body).await;
            sent.insert(body);
        }
        while let Ok(delivery) = timeout(Duration::from_millis(50), consumer.take()).await {
            let delivery = delivery.unwrap();
            if delivery.tally().attempt.is_some() {
                back.insert(String::from_utf8_lossy(delivery.body()).into_owned());
                delivery.settle(Settle::Done).await.unwrap();
            } else {
                delivery
                    .settle(Settle::Again(Again::attempt(2, Duration::from_millis(900))))
                    .await
                    .unwrap();
            }
        }
    }
    queue.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_that_come_and_go_in_a_hurry_neither_lose_nor_double_a_message() {
    let (url, options) = (broker(), options());
    let queue = open(&url, &options);
    let name = declare(&queue, &options, "work").await;
    let sent: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    queue
        .put(sent.iter().map(|body| Put::new(name.as_str(), body.clone())).collect())
        .await
        .unwrap();
    let mut came = Vec::new();
    while came.len() < sent.len() {
        // Half of what the broker sends is not handed out, and on its way when the consumer goes.
        let hasty = open(&url, &options);
        let mut consumer = consume(&hasty, &name, 30).await;
        for _ in 0..15 {
            let Ok(delivery) = timeout(Duration::from_secs(2), consumer.take()).await else {
                break;
            };
            let delivery = delivery.unwrap();
            came.push(String::from_utf8_lossy(delivery.body()).into_owned());
            delivery.settle(Settle::Done).await.unwrap();
        }
        drop(consumer);
        timeout(Duration::from_secs(4), hasty.close())
            .await
            .expect("a close that waits for nothing");
    }
    came.sort_by_key(|body| body.parse::<usize>().unwrap());
    assert_eq!(came, sent);
    ready(&queue, &name, 0).await;
    queue.close().await;
}
