//! The broker says no: what can never be put, and who may not.

use std::sync::Arc;

use queues::{
    Put, Queue, QueueError, QueueSpec,
    rabbitmq::{Existing, QueueType, RabbitOptions},
};
use rabbit_node::{Node, Settings};
use tokio::task::JoinSet;

use crate::bench::{broker, declare, open, options, ready};

#[tokio::test(flavor = "multi_thread")]
async fn of_many_puts_at_once_just_those_are_refused_that_reach_no_queue() {
    let (url, options) = (broker(), options());
    let queue = Arc::new(open(&url, &options));
    let name = declare(&queue, &options, "work").await;
    let missing = format!("{}nowhere", options.prefix);
    let mut puts = JoinSet::new();
    for number in 0..400 {
        let to = if number % 3 == 0 { missing.clone() } else { name.clone() };
        let queue = Arc::clone(&queue);
        puts.spawn(async move {
            let put = queue.put(vec![Put::new(to.clone(), number.to_string())]).await;
            (to, put)
        });
    }
    let mut refused = 0;
    while let Some(put) = puts.join_next().await {
        match put.unwrap() {
            (to, Ok(())) => assert_eq!(to, name, "a message that no queue has is not safe"),
            (to, Err(QueueError::NoQueue { queue })) => {
                assert_eq!(
                    (&to, &queue),
                    (&missing, &missing),
                    "a message that was put is not refused"
                );
                refused += 1;
            }
            (_, Err(error)) => panic!("{error}"),
        }
    }
    assert_eq!(refused, 134);
    ready(&queue, &name, 400 - 134).await;
    queue.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_other_arguments_is_refused_or_used_as_it_is() {
    let (url, options) = (broker(), options());
    let queue = open(&url, &options);
    let name = declare(&queue, &options, "work").await;
    queue.close().await;
    let classic = RabbitOptions {
        queue_type: QueueType::Classic,
        ..options
    };
    let spec = [QueueSpec::new(name.as_str())];
    let queue = open(&url, &classic);
    let error = queue.declare(&spec).await.unwrap_err();
    assert!(!error.is_transient());
    let said = error.to_string();
    assert!(
        said.contains(&name)
            && said.contains("queue_type")
            && said.contains("received 'classic' but current is 'quorum'"),
        "{said}"
    );
    queue.close().await;
    let as_it_is = RabbitOptions {
        existing: Existing::UseAsIs,
        ..classic
    };
    let queue = open(&url, &as_it_is);
    queue.declare(&spec).await.unwrap();
    queue.put(vec![Put::new(name.as_str(), "x")]).await.unwrap();
    queue.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_or_virtual_host_is_an_error_that_names_the_cure() {
    let (url, options) = (broker(), options());
    let host = crate::bench::address(&url);
    let cases = [
        (format!("amqp://guest:wrong-secret@{host}"), "user and password"),
        (format!("amqp://{host}/no-such-host"), "rabbitmqctl add_vhost"),
    ];
    for (url, cure) in cases {
        let queue = open(&url, &options);
        let error = queue.declare(&[]).await.unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, QueueError::Refused { .. }), "{said}");
        assert!(said.contains(cure) && !said.contains("wrong-secret"), "{said}");
        queue.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_brokers_limit_is_refused_and_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::default().with("max_message_size", "1000");
    let node = Node::start(folder.path(), &settings).unwrap();
    let options = options();
    let queue = Arc::new(open(&node.url(), &options));
    let name = declare(&queue, &options, "work").await;
    let mut puts = JoinSet::new();
    for number in 0..40 {
        let (queue, name) = (Arc::clone(&queue), name.clone());
        let bytes = if number == 7 { 1001 } else { 1000 };
        puts.spawn(async move { queue.put(vec![Put::new(name, vec![b'x'; bytes])]).await });
    }
    let mut refused = Vec::new();
    while let Some(put) = puts.join_next().await {
        refused.extend(put.unwrap().err());
    }
    assert!(
        matches!(&refused[..], [QueueError::TooLarge { bytes: 1001, limit: 1000, queue }] if *queue == name),
        "{refused:?}"
    );
    let mut left = 0;
    let mut consumer = queue.consume(&name, 100).await.unwrap();
    while let Ok(taken) = tokio::time::timeout(crate::bench::QUIET, consumer.take()).await {
        taken.unwrap().settle(queues::Settle::Done).await.unwrap();
        left += 1;
    }
    // One that was under way when its channel was closed may have been put twice, none is lost.
    assert!(left >= 39, "{left} of 39");
    queue.close().await;
}
