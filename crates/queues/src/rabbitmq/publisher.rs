//! Puts messages: published persistent and mandatory, and safe when the broker has confirmed them.
//!
//! The one rule: **a message is safe only if its own confirm came and it was not returned.** The client hangs a returned
//! message on some confirm of its channel, not always on its own. So each channel carries one batch at a time, and a batch
//! is judged when all of its confirms are there, by the number that each message bears. Whatever waits while the
//! channels are busy is the next batch, as with a group commit.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use chassis::lifecycle::Drain;
use futures_util::future::join_all;
use lapin::{
    Channel, Confirmation, Error, PublisherConfirm,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    link::Link,
    marks::{Marks, number_of},
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
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
struct Request {
    parcels: Vec<Parcel>,
    answer: oneshot::Sender<Vec<(Parcel, Sent)>>,
}

impl Publisher {
    /// Starts the channels' tasks; each opens its channel when it has something to put. They end when `closed` is set
    /// or the publisher is dropped.
    pub(super) fn new(link: &Arc<Link>, tasks: &Drain, closed: &CancellationToken) -> Self {
        let (requests, inbox) = mpsc::channel(WAITING);
        let inbox = Arc::new(Mutex::new(inbox));
        for _ in 0..CHANNELS {
            let worker = Worker {
                link: Arc::clone(link),
                inbox: Arc::clone(&inbox),
                channel: None,
                number: 0,
            };
            let closed = closed.clone();
            tasks.spawn("RabbitMQ publisher", async move {
                closed.run_until_cancelled(worker.run()).await;
            });
        }
        Self { requests }
    }

    /// Puts parcels once, and says of each what became of it; `None` where the publisher has ended.
    ///
    /// # Cancellation
    /// Dropping the future does not take back what was asked for.
    pub(super) async fn send(&self, parcels: Vec<Parcel>) -> Option<Vec<(Parcel, Sent)>> {
        let (answer, sent) = oneshot::channel();
        self.requests.send(Request { parcels, answer }).await.ok()?;
        sent.await.ok()
    }
}

/// One channel, or none at the moment.
struct Worker {
    link: Arc<Link>,
    inbox: Arc<Mutex<mpsc::Receiver<Request>>>,
    channel: Option<Channel>,
    number: u64,
}

impl Worker {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.inbox.lock().await.recv_many(&mut batch, BATCH).await > 0 {
            let parcels: Vec<&Parcel> = batch.iter().flat_map(|request| &request.parcels).collect();
            let mut sent = self.put(&parcels).await.into_iter();
            for Request { parcels, answer } in batch.drain(..) {
                // Whoever asked may have gone.
                let _ = answer.send(parcels.into_iter().zip(sent.by_ref()).collect());
            }
        }
    }

    async fn put(&mut self, parcels: &[&Parcel]) -> Vec<Sent> {
        let channel = match self.open().await {
            Ok(channel) => channel,
            Err(error) => {
                let why: Arc<str> = error.into();
                return parcels.iter().map(|_| Sent::Away(Arc::clone(&why))).collect();
            }
        };
        let first = self.number;
        self.number += parcels.len() as u64;
        let confirms = publish(&channel, parcels, first).await;
        let mut returned = HashSet::new();
        let mut outcomes = Vec::with_capacity(parcels.len());
        for confirm in confirms {
            let confirmation = match confirm {
                Ok(confirm) => confirm.await,
                Err(error) => Err(error),
            };
            if let Ok(Confirmation::Ack(Some(message)) | Confirmation::Nack(Some(message))) = &confirmation {
                returned.extend(number_of(&message.delivery.properties));
            }
            outcomes.push(confirmation);
        }
        if outcomes.iter().any(Result::is_err) {
            self.channel = None;
        }
        let judge = |(index, outcome): (usize, Result<Confirmation, Error>)| {
            let is_returned = returned.contains(&(first + index as u64));
            judge(parcels[index], outcome, is_returned)
        };
        outcomes.into_iter().enumerate().map(judge).collect()
    }

    /// The channel of this worker, with confirms.
    async fn open(&mut self) -> Result<Channel, String> {
        if let Some(channel) = self.channel.take().filter(|channel| channel.status().connected()) {
            return Ok(self.channel.insert(channel).clone());
        }
        let in_full = |error: &dyn std::error::Error| match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        let channel = self.link.channel().await.map_err(|error| in_full(&error))?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default()).await;
        confirms.map_err(|error| in_full(&error))?;
        self.number = 0;
        Ok(self.channel.insert(channel).clone())
    }
}

/// Writes the parcels in their order, a few megabytes at a time.
async fn publish(channel: &Channel, parcels: &[&Parcel], first: u64) -> Vec<Result<PublisherConfirm, Error>> {
    let mut confirms = Vec::with_capacity(parcels.len());
    let mut rest = parcels;
    while !rest.is_empty() {
        let (mut count, mut bytes) = (0, 0);
        while count < rest.len() && (count == 0 || bytes + rest[count].body.len() <= WINDOW) {
            bytes += rest[count].body.len();
            count += 1;
        }
        let (window, later) = rest.split_at(count);
        let number = first + confirms.len() as u64;
        confirms.extend(
            join_all(
                window
                    .iter()
                    .zip(number..)
                    .map(|(parcel, number)| write(channel, parcel, number)),
            )
            .await,
        );
        rest = later;
    }
    confirms
}

async fn write(channel: &Channel, parcel: &Parcel, number: u64) -> Result<PublisherConfirm, Error> {
    let mandatory = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let mut properties = parcel.marks.write(number);
    if let Some(expires) = parcel.expires {
        properties = properties.with_expiration(expires.to_string().into());
    }
    let (exchange, key) = (parcel.exchange.as_ref().into(), parcel.key.as_ref().into());
    channel
        .basic_publish(exchange, key, mandatory, &parcel.body, properties)
        .await
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

/// Batches that may be under way at once.
const CHANNELS: usize = 8;
/// Requests that are put together, at most.
const BATCH: usize = 64;
/// Requests that wait before those who ask have to.
const WAITING: usize = 1024;
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
