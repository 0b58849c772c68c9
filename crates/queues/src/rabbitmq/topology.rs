//! The exchange, the queues and what binds them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::time::timeout;
use tracing::warn;

use super::{
    link::{ANSWER, Link},
    options::{Existing, QueueType, RabbitOptions},
    trouble::{self, Refusal},
};
use crate::{QueueError, QueueSpec, Retention};

/// What this process declared, and how it is declared again.
#[derive(Debug)]
pub(super) struct Topology {
    options: Arc<RabbitOptions>,
    link: Arc<Link>,
    declared: Mutex<BTreeMap<Arc<str>, Option<Retention>>>,
}

/// What a passive declare tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) ready: u64,
    pub(super) consumers: u64,
}

impl Topology {
    pub(super) fn new(options: Arc<RabbitOptions>, link: Arc<Link>) -> Self {
        Self {
            options,
            link,
            declared: Mutex::default(),
        }
    }

    /// Declares the exchange and the queues, and binds them.
    pub(super) async fn declare(&self, specs: &[QueueSpec]) -> Result<(), QueueError> {
        let mut channel = self.link.channel().await?;
        self.exchange(&mut channel).await?;
        for spec in specs {
            self.queue(&mut channel, &spec.name).await?;
            let mut declared = self.lock();
            let retention = declared.entry(Arc::clone(&spec.name)).or_default();
            *retention = spec.retention.or(*retention);
        }
        Ok(())
    }

    /// Declares a queue again that went missing, if it is one of those that this process declared. Whether it is.
    pub(super) async fn restore(&self, queue: &str) -> Result<bool, QueueError> {
        if !self.is_declared(queue) {
            return Ok(false);
        }
        let missing = self.look(queue).await?.is_none();
        let mut channel = self.link.channel().await?;
        self.exchange(&mut channel).await?;
        self.queue(&mut channel, queue).await?;
        if missing {
            warn!(
                queue,
                "the queue was deleted and is declared again; what it held is lost"
            );
        }
        Ok(true)
    }

    /// What stands in a queue; `None` where it does not exist.
    pub(super) async fn look(&self, queue: &str) -> Result<Option<Seen>, QueueError> {
        let channel = self.link.channel().await?;
        match declare(&channel, queue, passive(), FieldTable::default()).await? {
            Ok(queue) => Ok(Some(Seen {
                ready: queue.message_count().into(),
                consumers: queue.consumer_count().into(),
            })),
            Err(error) => match trouble::refusal(&error) {
                Some((Refusal::NotFound, _)) => Ok(None),
                Some((Refusal::Access, said)) => Err(no_access(queue, &said, error)),
                Some((Refusal::Locked, said)) => Err(locked(queue, &said, error)),
                _ => Err(trouble::away(format!("look at queue `{queue}`"), error)),
            },
        }
    }

    pub(super) fn is_declared(&self, queue: &str) -> bool {
        self.lock().contains_key(queue)
    }

    /// Every queue that was declared here or is known from the configuration.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self
            .lock()
            .keys()
            .cloned()
            .chain(self.options.known.iter().cloned())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The queues that are trimmed, and to what.
    pub(super) fn retained(&self) -> Vec<(Arc<str>, Retention)> {
        let declared = self.lock();
        let retained = declared
            .iter()
            .filter_map(|(name, retention)| Some((Arc::clone(name), (*retention)?)));
        retained
            .filter(|(_, retention)| *retention != Retention::default())
            .collect()
    }

    /// Whether messages of a queue are trimmed by their age.
    pub(super) fn ages(&self, queue: &str) -> bool {
        self.lock()
            .get(queue)
            .copied()
            .flatten()
            .is_some_and(|retention| retention.keep.is_some())
    }

    async fn exchange(&self, channel: &mut Channel) -> Result<(), QueueError> {
        let name = self.options.exchange.as_str();
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let declared = channel.exchange_declare(name.into(), ExchangeKind::Topic, durable, FieldTable::default());
        let Err(error) = timed(declared, "declare the exchange").await? else {
            return Ok(());
        };
        match trouble::refusal(&error) {
            Some((Refusal::Precondition, said)) if self.options.existing == Existing::UseAsIs => {
                warn!(
                    exchange = name,
                    said = trouble::plain(&said),
                    "the exchange is of another kind, used as it is"
                );
                *channel = self.link.channel().await?;
                Ok(())
            }
            Some((Refusal::Precondition, said)) => Err(QueueError::Refused {
                what: format!("exchange `{name}` exists and is another one: {}", trouble::plain(&said)),
                cure: "name a durable topic exchange, or one that does not exist yet, in `rabbitmq.exchange`"
                    .to_owned(),
                source: Some(error.into()),
            }),
            Some((Refusal::Access, said)) => Err(no_access(name, &said, error)),
            _ => Err(trouble::away(format!("declare exchange `{name}`"), error)),
        }
    }

    async fn queue(&self, channel: &mut Channel, queue: &str) -> Result<(), QueueError> {
        let durable = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        if let Err(error) = declare(channel, queue, durable, arguments(self.options.queue_type)).await? {
            match trouble::refusal(&error) {
                Some((Refusal::Precondition, said)) if self.options.existing == Existing::UseAsIs => {
                    warn!(
                        queue,
                        said = trouble::plain(&said),
                        "the queue has other arguments, used as it is"
                    );
                    *channel = self.link.channel().await?;
                }
                Some((Refusal::Precondition, said)) => return Err(other_arguments(queue, &said, error)),
                Some((Refusal::Access, said)) => return Err(no_access(queue, &said, error)),
                Some((Refusal::Locked, said)) => return Err(locked(queue, &said, error)),
                _ => return Err(trouble::away(format!("declare queue `{queue}`"), error)),
            }
        }
        let (exchange, key) = (self.options.exchange.as_str(), self.options.key(queue));
        let bound = channel.queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        timed(bound, "bind a queue")
            .await?
            .map_err(|error| match trouble::refusal(&error) {
                Some((Refusal::Access, said)) => no_access(queue, &said, error),
                _ => trouble::away(format!("bind queue `{queue}` to exchange `{exchange}`"), error),
            })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Option<Retention>>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The arguments of a queue of ours.
pub(super) fn arguments(kind: QueueType) -> FieldTable {
    let mut arguments = FieldTable::default();
    match kind {
        QueueType::Quorum => {
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        }
        QueueType::Classic => {
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
            arguments.insert("x-queue-version".into(), AMQPValue::LongInt(2));
        }
    }
    arguments
}

/// Declares a queue; the inner result is the broker's.
pub(super) async fn declare(
    channel: &Channel,
    queue: &str,
    options: QueueDeclareOptions,
    arguments: FieldTable,
) -> Result<Result<lapin::Queue, lapin::Error>, QueueError> {
    timed(
        channel.queue_declare(queue.into(), options, arguments),
        "declare a queue",
    )
    .await
}

/// Waits for an answer of the broker as long as one waits for such.
pub(super) async fn timed<T>(answer: impl Future<Output = T>, what: &str) -> Result<T, QueueError> {
    timeout(ANSWER, answer).await.map_err(|_| QueueError::Unavailable {
        why: format!("{what}: RabbitMQ does not answer"),
        source: None,
    })
}

fn passive() -> QueueDeclareOptions {
    QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    }
}

fn other_arguments(queue: &str, said: &str, error: lapin::Error) -> QueueError {
    QueueError::Refused {
        what: format!("queue `{queue}` exists with other arguments: {}", trouble::plain(said)),
        cure: "set `queue_type` to what it is, or use another `prefix`, or delete the queue once it is empty; \
               `rabbitmq.queues: use` takes queues as they are"
            .to_owned(),
        source: Some(error.into()),
    }
}

fn no_access(name: &str, said: &str, error: lapin::Error) -> QueueError {
    QueueError::Refused {
        what: format!(
            "RabbitMQ does not let this user work with `{name}`: {}",
            trouble::plain(said)
        ),
        cure: "give it the right to configure, write and read it with `rabbitmqctl set_permissions`".to_owned(),
        source: Some(error.into()),
    }
}

fn locked(name: &str, said: &str, error: lapin::Error) -> QueueError {
    QueueError::Refused {
        what: format!(
            "queue `{name}` belongs to another connection alone: {}",
            trouble::plain(said)
        ),
        cure: "use another name or `prefix`".to_owned(),
        source: Some(error.into()),
    }
}
