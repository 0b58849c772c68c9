//! What the tests share: a place of their own on the broker, and waiting for messages.

use std::{net::SocketAddr, path::Path, time::Duration};

use queues::{
    Consumer, Delivery, Put, Queue, QueueError, QueueSpec,
    rabbitmq::{RabbitOptions, RabbitQueue},
};
use tokio::time::{sleep, timeout};

/// Options with a prefix and an exchange that no other test has.
pub(crate) fn options() -> RabbitOptions {
    let own = format!("test-{}", uuid::Uuid::now_v7().simple());
    RabbitOptions {
        exchange: own.clone(),
        prefix: format!("{own}."),
        ..RabbitOptions::default()
    }
}

/// The broker that tests share.
pub(crate) fn broker() -> String {
    rabbit_node::shared().unwrap()
}

/// Where it listens.
pub(crate) fn address(url: &str) -> SocketAddr {
    let rest = url.split_once("://").unwrap().1;
    let authority = rest.split('/').next().unwrap();
    authority.rsplit('@').next().unwrap().parse().unwrap()
}

pub(crate) fn open(url: &str, options: &RabbitOptions) -> RabbitQueue {
    RabbitQueue::new(url, Path::new("."), options.clone()).unwrap()
}

/// Declares a queue of an actor; gives its full name.
pub(crate) async fn declare(queue: &RabbitQueue, options: &RabbitOptions, actor: &str) -> String {
    let name = format!("{}{actor}", options.prefix);
    queue.declare(&[QueueSpec::new(name.as_str())]).await.unwrap();
    name
}

pub(crate) async fn put(queue: &RabbitQueue, name: &str, body: &str) {
    queue.put(vec![Put::new(name, body.to_owned())]).await.unwrap();
}

/// The next message, which has to come.
pub(crate) async fn take(consumer: &mut Box<dyn Consumer>) -> Delivery {
    timeout(PATIENCE, consumer.take())
        .await
        .expect("a message comes")
        .unwrap()
}

/// A consumer, however often the line to the broker breaks meanwhile.
pub(crate) async fn consume(queue: &RabbitQueue, name: &str, credit: usize) -> Box<dyn Consumer> {
    let again = async {
        loop {
            match queue.consume(name, credit).await {
                Ok(consumer) => return consumer,
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, again).await.expect("a consumer")
}

/// Waits for the line to be missed: taking fails with an error that passes.
pub(crate) async fn lost(consumer: &mut Box<dyn Consumer>) -> QueueError {
    let taken = timeout(PATIENCE, consumer.take()).await.expect("taking ends");
    let error = taken.expect_err("taking fails");
    assert!(error.is_transient(), "{error}");
    error
}

/// Waits until a queue has this many messages that are ready.
pub(crate) async fn ready(queue: &RabbitQueue, name: &str, count: u64) {
    let all = async {
        loop {
            let stats = queue.stats().await.unwrap();
            let found = stats
                .iter()
                .find(|stats| &*stats.name == name)
                .and_then(|stats| stats.depth);
            if found == Some(count) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, all)
        .await
        .unwrap_or_else(|_| panic!("{count} messages on {name}"));
}

/// Long enough that nothing comes which would.
pub(crate) const QUIET: Duration = Duration::from_millis(400);
/// Nothing takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
