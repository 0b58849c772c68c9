//! Opens the configured queue, for those that serve it and for a command that comes and goes.
//!
//! The rule: a command that only looks makes nothing.

use std::{path::PathBuf, sync::Arc};

use chassis::config::Loaded;
use queues::{Queue, QueueError};

use crate::{
    config::Root,
    exit::{Code, Failure},
};

/// Opens the queue where it exists already.
///
/// # Errors
/// A [`Failure`] that says what to do where nobody has put anything yet.
pub async fn existing(loaded: &Loaded<Root>) -> anyhow::Result<Arc<dyn Queue>> {
    if let Some(file) = file(loaded).filter(|file| !file.exists()) {
        let failure = Failure::new(Code::NoInput, format!("there is no queue file {} yet", file.display()));
        return Err(failure.help(cure(loaded)).into());
    }
    fresh(loaded).await
}

/// Opens the queue, and makes its file where there is none.
pub async fn fresh(loaded: &Loaded<Root>) -> anyhow::Result<Arc<dyn Queue>> {
    if loaded.value.queue.starts_with("memory:") {
        let failure = Failure::new(
            Code::Config,
            "a `memory:` queue ends with its process, no other command can reach it",
        );
        return Err(failure
            .help("use `sqlite:PATH` for work that several commands share")
            .into());
    }
    Ok(queue(loaded).await?)
}

/// Opens the queue that the configuration names, as it says. One on a broker connects when it has something to do.
pub async fn queue(loaded: &Loaded<Root>) -> Result<Arc<dyn Queue>, QueueError> {
    #[cfg(feature = "rabbitmq")]
    if is_broker(&loaded.value) {
        let options = broker::options(&loaded.value);
        let queue = queues::rabbitmq::RabbitQueue::new(&loaded.value.queue, &loaded.folder, options)?;
        return Ok(Arc::new(queue));
    }
    queues::open(&loaded.value.queue, &loaded.folder).await
}

/// Whether the queue is on a broker, which may be away.
pub fn is_broker(root: &Root) -> bool {
    root.queue.starts_with("amqp:") || root.queue.starts_with("amqps:")
}

#[cfg(feature = "rabbitmq")]
mod broker {
    use queues::rabbitmq::{Existing, LongJobs, QueueType, RabbitOptions, TlsFiles};

    use crate::{
        config::{self, DeclareQueues, Root},
        wiring::queues_of,
    };

    /// What the configuration says of RabbitMQ.
    pub(super) fn options(root: &Root) -> RabbitOptions {
        let rabbitmq = &root.rabbitmq;
        RabbitOptions {
            exchange: rabbitmq.exchange.clone(),
            prefix: root.prefix.clone(),
            keys: root
                .actors
                .iter()
                .filter_map(|(actor, config)| Some((config.queue.clone()?, actor.clone())))
                .collect(),
            queue_type: match root.queue_type {
                config::QueueType::Quorum => QueueType::Quorum,
                config::QueueType::Classic => QueueType::Classic,
            },
            existing: match rabbitmq.queues {
                DeclareQueues::Declare => Existing::MustMatch,
                DeclareQueues::Use => Existing::UseAsIs,
            },
            prefetch: rabbitmq.prefetch.map(std::num::NonZero::get),
            consumer_timeout: rabbitmq.consumer_timeout.into(),
            long_jobs: match root.long_jobs {
                config::LongJobs::Warn => LongJobs::Warn,
                config::LongJobs::Park => LongJobs::Park,
            },
            tls: TlsFiles {
                ca: rabbitmq.tls.ca.clone(),
                cert: rabbitmq.tls.cert.clone(),
                key: rabbitmq.tls.key.clone(),
            },
            known: queues_of(root).into_iter().map(|spec| spec.name).collect(),
        }
    }
}

/// Whether the queue is a file that is not there.
pub fn is_missing(loaded: &Loaded<Root>) -> bool {
    file(loaded).is_some_and(|file| !file.exists())
}

/// Nobody declared a queue: which it was, and which there are.
pub async fn no_queue(queue: &dyn Queue, name: &str, loaded: &Loaded<Root>) -> anyhow::Error {
    let there: Vec<String> = match queue.stats().await {
        Ok(stats) => stats.into_iter().map(|stats| stats.name.to_string()).collect(),
        Err(error) => return error.into(),
    };
    let full = loaded.value.queue_of(name);
    let help = if there.contains(&full) {
        format!("queues are named with their prefix: `{full}`")
    } else if there.is_empty() {
        cure(loaded)
    } else {
        format!("there are {}", crate::human::list(&there))
    };
    let missing = QueueError::NoQueue { queue: name.to_owned() };
    Failure::new(Code::NoInput, missing.to_string()).help(help).into()
}

fn cure(loaded: &Loaded<Root>) -> String {
    if loaded.file.is_some() {
        "`outrigger up` or `outrigger send` makes what the configuration declares".to_owned()
    } else {
        "run this where outrigger.yaml is, or name it with `--config`".to_owned()
    }
}

/// The file of a `sqlite:` queue.
fn file(loaded: &Loaded<Root>) -> Option<PathBuf> {
    let path = loaded.value.queue.strip_prefix("sqlite:")?;
    Some(loaded.folder.join(path.split('?').next().unwrap_or_default()))
}
