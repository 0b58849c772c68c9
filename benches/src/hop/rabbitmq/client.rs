//! What the bench itself does on the broker, from this process, as any client would.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, future::join_all};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    message::BasicGetMessage,
    options::{BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::{runtime::Runtime, time::timeout};

use super::broker::Kind;
use crate::PATIENCE;

/// A connection and a channel with confirms.
pub(crate) struct Client {
    channel: Channel,
    // Before the runtime, which it needs for its end.
    connection: Connection,
    runtime: Runtime,
}

/// Any message: what is published is what once came, or the like.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    pub(crate) body: Vec<u8>,
    pub(crate) properties: BasicProperties,
}

/// Messages of one put while a queue is filled.
const FILLING: usize = 500;
/// Between two looks at a queue.
const LOOK: Duration = Duration::from_millis(5);

impl Client {
    pub(crate) fn connect(url: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let (connection, channel) = runtime.block_on(async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            lapin::Result::Ok((connection, channel))
        })?;
        Ok(Self {
            channel,
            connection,
            runtime,
        })
    }

    pub(crate) fn declare(&self, queue: &str, kind: Kind) -> anyhow::Result<()> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.name().into()));
        if kind == Kind::Classic {
            arguments.insert("x-queue-version".into(), AMQPValue::LongInt(2));
        }
        let declare = self
            .channel
            .queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments);
        self.runtime.block_on(declare)?;
        Ok(())
    }

    /// Whether a queue is there; the question ends the channel that asks where it is not.
    pub(crate) fn exists(&self, queue: &str) -> anyhow::Result<bool> {
        self.runtime.block_on(async {
            let channel = self.connection.create_channel().await?;
            let passive = QueueDeclareOptions::durable().passive();
            let declared = channel.queue_declare(queue.into(), passive, FieldTable::default());
            Ok(declared.await.is_ok())
        })
    }

    /// Puts messages into a queue, every one confirmed.
    pub(crate) fn fill(&self, queue: &str, messages: &mut dyn Iterator<Item = Message>) -> anyhow::Result<()> {
        loop {
            let batch: Vec<Message> = messages.take(FILLING).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.runtime.block_on(async {
                let put = batch.iter().map(|message| put(&self.channel, queue, message));
                join_all(put).await.into_iter().collect::<anyhow::Result<()>>()
            })?;
        }
    }

    /// Messages that are ready in a queue, by a passive declare.
    pub(crate) fn depth(&self, queue: &str) -> anyhow::Result<u64> {
        let passive = QueueDeclareOptions::durable().passive();
        let declare = self.channel.queue_declare(queue.into(), passive, FieldTable::default());
        Ok(self.runtime.block_on(declare)?.message_count().into())
    }

    /// Waits until a queue has so many ready messages; it may not have more.
    pub(crate) fn arrived(&self, queue: &str, count: u64) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let depth = self.depth(queue)?;
            ensure!(depth <= count, "queue `{queue}` has {depth} messages, not {count}");
            if depth == count {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "queue `{queue}` has {depth} messages of {count} after {PATIENCE:?}"
            );
            thread::sleep(LOOK);
        }
    }

    /// Takes the one message that is in a queue.
    pub(crate) fn take(&self, queue: &str) -> anyhow::Result<Message> {
        let get = self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: true });
        let taken: Option<BasicGetMessage> = self.runtime.block_on(get)?;
        let delivery = taken.with_context(|| format!("queue `{queue}` is empty"))?.delivery;
        Ok(Message {
            body: delivery.data,
            properties: delivery.properties,
        })
    }

    /// Follows a queue: everything that comes is taken.
    pub(crate) fn follow(&self, queue: &str) -> anyhow::Result<Consumer> {
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let consume = self
            .channel
            .basic_consume(queue.into(), "".into(), options, FieldTable::default());
        Ok(self.runtime.block_on(consume)?)
    }

    /// From the call of one put to the arrival of what comes of it at the end, its own confirm not waited for.
    pub(crate) fn through(&self, queue: &str, message: &Message, end: &mut Consumer) -> anyhow::Result<Duration> {
        self.runtime.block_on(async {
            let called = Instant::now();
            let mut putting = std::pin::pin!(put(&self.channel, queue, message));
            let mut is_put = false;
            let arrival = loop {
                tokio::select! {
                    put = &mut putting, if !is_put => {
                        put?;
                        is_put = true;
                    }
                    arrived = timeout(PATIENCE, end.next()) => {
                        arrived.context("a message does not arrive")?.context("the broker has ended")??;
                        break called.elapsed();
                    }
                }
            };
            if !is_put {
                putting.await?;
            }
            Ok(arrival)
        })
    }
}

async fn put(channel: &Channel, queue: &str, message: &Message) -> anyhow::Result<()> {
    let mandatory = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let persistent = message.properties.clone().with_delivery_mode(2);
    let publish = channel.basic_publish("".into(), queue.into(), mandatory, &message.body, persistent);
    let confirmed = publish.await?.await?;
    ensure!(
        matches!(confirmed, Confirmation::Ack(None)),
        "queue `{queue}` did not take a message"
    );
    Ok(())
}
