//! Puts messages: published persistent and mandatory, and safe when the broker has confirmed them.
//!
//! The one rule: **a message is safe only if its own confirm came and it was not returned.** The client hangs a returned
//! message on some confirm of its channel, not always on its own. So each channel carries one batch at a time, and a batch
//! is judged when all of its confirms are there, by the id that each message bears. Whatever waits while the
//! channels are busy is the next batch, as with a group commit.

use std::{
    collections::{HashSet, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use chassis::{lifecycle::Drain, telemetry::in_full};
use futures_util::future::join_all;
use lapin::{
    Channel, Confirmation, Error, PublisherConfirm,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    detached::Detached,
    link::Link,
    marks::{Marks, PutId},
    trouble::{self, Refusal},
};

/// A message on its way to the broker.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    /// The exchange; empty for the one that takes a queue's name as routing key.
    pub(super) exchange: Arc<str>,
    pub(super) key: Arc<str>,
    /// The queue that it is meant for.
    pub(super) queue: Arc<str>,
    pub(super) body: Bytes,
    pub(super) marks: Marks,
    /// How long it waits in a queue whose messages expire, in milliseconds.
    pub(super) expires: Option<u64>,
}

/// What became of a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    /// Confirmed.
    Safe,
    /// No queue is bound where it should go.
    Unroutable,
    /// The exchange is not there.
    NoExchange,
    /// Over the broker's limit, in bytes.
    TooLarge(u64),
    /// The broker is away or refuses it for now; whether it has it is not known.
    Away(Arc<str>),
}

/// Hands parcels to the channels.
#[derive(Debug)]
pub(super) struct Publisher {
    waiting: Arc<Mutex<Waiting>>,
    tasks: Drain,
    closed: CancellationToken,
}

/// What waits for a channel, or the channels that wait for something: never both.
#[derive(Debug)]
struct Waiting {
    requests: VecDeque<Request>,
    idle: Vec<Worker>,
}

#[derive(Debug)]
struct Request {
    parcels: Vec<Parcel>,
    answer: oneshot::Sender<Vec<(Parcel, Sent)>>,
}

impl Publisher {
    /// Opens nothing yet: each channel is opened when it has something to put.
    pub(super) fn new(link: &Arc<Link>, tasks: &Drain, closed: &CancellationToken) -> Self {
        let worker = |_| Worker {
            link: Arc::clone(link),
            channel: None,
            next: PutId {
                channel: fastrand::u64(..),
                number: 0,
            },
        };
        let waiting = Waiting {
            requests: VecDeque::new(),
            idle: (0..CHANNELS).map(worker).collect(),
        };
        Self {
            waiting: Arc::new(Mutex::new(waiting)),
            tasks: tasks.clone(),
            closed: closed.clone(),
        }
    }

    /// Puts parcels once, and says of each what became of it; `None` where the queue is closed.
    ///
    /// Whoever finds a channel idle puts its batch on it itself; what waits by then is put by a task.
    ///
    /// # Cancellation
    /// Dropping the future does not take back what was asked for.
    pub(super) async fn send(&self, parcels: Vec<Parcel>) -> Option<Vec<(Parcel, Sent)>> {
        let (answer, sent) = oneshot::channel();
        let worker = {
            let mut waiting = lock(&self.waiting);
            waiting.requests.push_back(Request { parcels, answer });
            waiting.idle.pop()
        };
        if let Some(worker) = worker {
            let (waiting, tasks, closed) = (Arc::clone(&self.waiting), self.tasks.clone(), self.closed.clone());
            let batch = async move {
                let work = worker.serve_one(&waiting);
                if let Some(Some(worker)) = closed.run_until_cancelled(work).await {
                    tasks.spawn("RabbitMQ publisher", async move {
                        closed.run_until_cancelled(worker.serve(&waiting)).await;
                    });
                }
            };
            Detached::new("RabbitMQ publisher", &self.tasks, batch).await;
        }
        self.closed.run_until_cancelled(sent).await?.ok()
    }
}

/// One channel, or none at the moment.
#[derive(Debug)]
struct Worker {
    link: Arc<Link>,
    channel: Option<Channel>,
    next: PutId,
}

impl Worker {
    /// Puts batches until nothing waits.
    async fn serve(self, waiting: &Mutex<Waiting>) {
        let mut worker = Some(self);
        while let Some(busy) = worker {
            worker = busy.serve_one(waiting).await;
        }
    }

    /// Puts a batch of what waits; gives the worker back where there is more, else it is idle.
    async fn serve_one(mut self, waiting: &Mutex<Waiting>) -> Option<Self> {
        let batch: Vec<Request> = {
            let mut waiting = lock(waiting);
            let count = waiting.requests.len().min(BATCH);
            waiting.requests.drain(..count).collect()
        };
        if !batch.is_empty() {
            let parcels: Vec<&Parcel> = batch.iter().flat_map(|request| &request.parcels).collect();
            let mut sent = self.put(&parcels).await.into_iter();
            for Request { parcels, answer } in batch {
                // Whoever asked may have gone.
                let _ = answer.send(parcels.into_iter().zip(sent.by_ref()).collect());
            }
        }
        let mut waiting = lock(waiting);
        if waiting.requests.is_empty() {
            waiting.idle.push(self);
            return None;
        }
        Some(self)
    }

    async fn put(&mut self, parcels: &[&Parcel]) -> Vec<Sent> {
        let channel = match self.open().await {
            Ok(channel) => channel,
            Err(error) => {
                let why: Arc<str> = error.into();
                return parcels.iter().map(|_| Sent::Away(Arc::clone(&why))).collect();
            }
        };
        let first = self.next;
        self.next.number += parcels.len() as u64;
        let confirms = publish(&channel, parcels, first).await;
        let mut returned = HashSet::new();
        let mut outcomes = Vec::with_capacity(parcels.len());
        let until = Instant::now() + CONFIRM;
        for confirm in confirms {
            let confirmation = match confirm {
                Ok(confirm) => timeout_at(until, confirm).await.unwrap_or_else(|_| Err(silent())),
                Err(error) => Err(error),
            };
            if let Ok(Confirmation::Ack(Some(message)) | Confirmation::Nack(Some(message))) = &confirmation {
                returned.extend(PutId::read(&message.delivery.properties));
            }
            outcomes.push(confirmation);
        }
        if outcomes.iter().any(Result::is_err) {
            self.channel = None;
        }
        let judge = |(index, outcome): (usize, Result<Confirmation, Error>)| {
            let is_returned = returned.contains(&first.after(index));
            judge(parcels[index], outcome, is_returned)
        };
        outcomes.into_iter().enumerate().map(judge).collect()
    }

    /// The channel of this worker, with confirms.
    async fn open(&mut self) -> Result<Channel, String> {
        if let Some(channel) = self.channel.take().filter(|channel| channel.status().connected()) {
            return Ok(self.channel.insert(channel).clone());
        }
        let channel = self.link.channel().await.map_err(|error| in_full(&error))?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default()).await;
        confirms.map_err(|error| in_full(&error))?;
        Ok(self.channel.insert(channel).clone())
    }
}

/// Writes the parcels in their order, a few megabytes at a time.
async fn publish(channel: &Channel, parcels: &[&Parcel], first: PutId) -> Vec<Result<PublisherConfirm, Error>> {
    let mut confirms = Vec::with_capacity(parcels.len());
    let mut rest = parcels;
    while !rest.is_empty() {
        let (mut count, mut bytes) = (0, 0);
        while count < rest.len() && (count == 0 || bytes + rest[count].body.len() <= WINDOW) {
            bytes += rest[count].body.len();
            count += 1;
        }
        let (window, later) = rest.split_at(count);
        let begin = confirms.len();
        let writes = window
            .iter()
            .enumerate()
            .map(|(index, parcel)| write(channel, parcel, first.after(begin + index)));
        confirms.extend(join_all(writes).await);
        rest = later;
    }
    confirms
}

async fn write(channel: &Channel, parcel: &Parcel, id: PutId) -> Result<PublisherConfirm, Error> {
    let mandatory = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let mut properties = parcel.marks.write(&id);
    if let Some(expires) = parcel.expires {
        properties = properties.with_expiration(expires.to_string().into());
    }
    let (exchange, key) = (parcel.exchange.as_ref().into(), parcel.key.as_ref().into());
    channel
        .basic_publish(exchange, key, mandatory, &parcel.body, properties)
        .await
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn judge(parcel: &Parcel, outcome: Result<Confirmation, Error>, is_returned: bool) -> Sent {
    match outcome {
        Ok(_) if is_returned => Sent::Unroutable,
        Ok(Confirmation::Ack(_)) => Sent::Safe,
        Ok(Confirmation::Nack(_)) => Sent::Away(
            format!(
                "RabbitMQ did not take a message for queue `{}`: it is full, or not available",
                parcel.queue
            )
            .into(),
        ),
        Ok(Confirmation::NotRequested) => Sent::Away("the channel does not confirm".into()),
        Err(error) => match trouble::refusal(&error) {
            Some((Refusal::NotFound, _)) => Sent::NoExchange,
            Some((Refusal::Precondition, said)) => match trouble::message_limit(&said) {
                Some(limit) if parcel.body.len() as u64 > limit => Sent::TooLarge(limit),
                _ => Sent::Away(said.into()),
            },
            _ => Sent::Away(error.to_string().into()),
        },
    }
}

fn silent() -> Error {
    Error::from(io::Error::new(io::ErrorKind::TimedOut, "no confirm came"))
}

/// How long confirms may take once a batch is written; a broker that blocks publishers is waited for before that. A queue
/// that never confirms, such as one without a majority of its members, must not keep a channel from the others.
const CONFIRM: Duration = Duration::from_secs(30);
/// Batches that may be under way at once.
const CHANNELS: usize = 8;
/// Requests that are put together, at most.
const BATCH: usize = 64;
/// Bytes that are handed to the client at once; it copies them.
const WINDOW: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(bytes: usize) -> Parcel {
        Parcel {
            exchange: "x".into(),
            key: "k".into(),
            queue: "q".into(),
            body: vec![0; bytes].into(),
            marks: Marks::default(),
            expires: None,
        }
    }

    #[test]
    fn only_a_confirm_without_a_return_is_safe() {
        assert_eq!(judge(&parcel(1), Ok(Confirmation::Ack(None)), false), Sent::Safe);
        assert_eq!(judge(&parcel(1), Ok(Confirmation::Ack(None)), true), Sent::Unroutable);
        assert!(matches!(
            judge(&parcel(1), Ok(Confirmation::Nack(None)), false),
            Sent::Away(_)
        ));
        assert!(matches!(
            judge(&parcel(1), Ok(Confirmation::NotRequested), false),
            Sent::Away(_)
        ));
        let lost = || Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert!(matches!(judge(&parcel(1), Err(lost()), false), Sent::Away(_)));
    }
}
