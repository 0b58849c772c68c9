//! The channel of one consumer: what comes, how much may come, and what is acknowledged.
//!
//! A task of its own, so that messages which come again find their work, and acknowledgements go out, while nobody takes.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::try_join_all};
use lapin::{
    Channel, Error,
    message::Delivery,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use tokio::time::{sleep_until, timeout};

use super::{
    desk::{Desk, Ended, Ending, Work},
    hold::{Arrival, Hold},
    link::ANSWER,
    marks::Marks,
    parking,
    queue::Shared,
    receipt::Handout,
    tags::Tags,
    trouble::{self, Refusal},
};

/// One consumer's channel.
pub(super) struct Intake {
    shared: Arc<Shared>,
    queue: Arc<str>,
    desk: Arc<Desk>,
    channel: Channel,
    feed: Option<Feed>,
    tags: Tags,
    /// What the broker waits for, by tag.
    out: BTreeMap<u64, Out>,
}

/// A standing order at the broker.
struct Feed {
    tag: ShortString,
    prefetch: u16,
    stream: lapin::Consumer,
}

struct Out {
    hold: Arc<Hold>,
    since: Instant,
    /// Something was done about its long stay.
    noticed: bool,
}

/// Why the channel is of no use any more.
enum Over {
    /// The consumer has gone and everything is settled.
    Left,
    /// The queue was closed by this process.
    Closed,
    /// What happened, in words.
    Lost(Arc<str>),
}

impl From<Error> for Over {
    fn from(error: Error) -> Self {
        let why = match trouble::refusal(&error) {
            Some((Refusal::Precondition, said)) if said.contains("timed out") => format!(
                "a delivery was not acknowledged within the broker's consumer timeout and is given out again: raise \
                 `consumer_timeout` in rabbitmq.conf and in `rabbitmq.consumer_timeout`, or set `long_jobs: park` ({})",
                trouble::plain(&said)
            ),
            Some((_, said)) => format!("RabbitMQ closed the channel: {}", trouble::plain(&said)),
            None => format!("the connection to RabbitMQ was lost: {error}"),
        };
        Self::Lost(why.into())
    }
}

impl Intake {
    pub(super) fn new(shared: Arc<Shared>, queue: Arc<str>, desk: Arc<Desk>, channel: Channel) -> Self {
        Self {
            shared,
            queue,
            desk,
            channel,
            feed: None,
            tags: Tags::default(),
            out: BTreeMap::new(),
        }
    }

    /// Orders the first messages, so that a refusal is known to whoever asked.
    pub(super) async fn open(&mut self) -> Result<(), Error> {
        let credit = self.desk.work().credit;
        self.order(self.prefetch(credit)).await
    }

    /// Serves until the channel is lost, the consumer has gone and all is settled, or the queue is closed.
    pub(super) async fn run(mut self) {
        let closing = self.shared.closed.clone();
        let over = loop {
            if let Err(over) = self.serve(&closing).await {
                break over;
            }
        };
        let why = match over {
            Over::Left => {
                let _ = timeout(ANSWER, self.channel.close(200, "done".into())).await;
                None
            }
            Over::Closed => None,
            Over::Lost(why) => Some(why),
        };
        let lost = why.is_some();
        let mut pending: BTreeMap<u64, Ended> = self
            .desk
            .lose(why)
            .into_iter()
            .map(|ended| (ended.tag, ended))
            .collect();
        if lost {
            for (tag, out) in std::mem::take(&mut self.out) {
                let pending = pending.remove(&tag).map(|ended| (ended.ending, ended.told));
                self.shared.afloat.lost(out.hold, pending);
            }
        }
    }

    /// One thing that happens.
    async fn serve(&mut self, closed: &tokio_util::sync::CancellationToken) -> Result<(), Over> {
        let Work {
            endings,
            credit,
            leaving,
        } = self.desk.work();
        if !endings.is_empty() {
            self.tell(endings).await?;
        }
        let prefetch = if leaving { 0 } else { self.prefetch(credit) };
        if prefetch != self.feed.as_ref().map_or(0, |feed| feed.prefetch) {
            self.order(prefetch).await?;
        }
        if leaving {
            self.desk.fall_quiet();
            if self.out.is_empty() {
                return Err(Over::Left);
            }
        }
        let notice = self.next_notice();
        tokio::select! {
            biased;
            () = closed.cancelled() => Err(Over::Closed),
            () = self.desk.asked() => Ok(()),
            delivery = next(&mut self.feed) => self.receive(delivery),
            () = due(notice) => {
                self.notice();
                Ok(())
            }
        }
    }

    fn prefetch(&self, credit: usize) -> u16 {
        if credit == 0 {
            return 0;
        }
        let wanted = self.shared.options.prefetch.map_or(credit, usize::from);
        u16::try_from(wanted).unwrap_or(u16::MAX)
    }

    /// Changes how many messages the broker sends unasked; none gives back what was not handed out.
    async fn order(&mut self, prefetch: u16) -> Result<(), Error> {
        if let Some(mut feed) = self.feed.take() {
            self.channel
                .basic_cancel(feed.tag.clone(), BasicCancelOptions::default())
                .await?;
            // What was on its way when it was canceled.
            while let Some(Ok(delivery)) = feed.stream.next().await {
                self.accept(delivery);
            }
        }
        if prefetch == 0 {
            for hold in self.desk.take_back() {
                Handout::new(Arc::clone(&self.shared), hold).give_back();
            }
            return Ok(());
        }
        self.channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let stream = self
            .channel
            .basic_consume(
                self.queue.as_ref().into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        self.feed = Some(Feed {
            tag: stream.tag(),
            prefetch,
            stream,
        });
        Ok(())
    }

    fn receive(&mut self, delivery: Option<Result<Delivery, Error>>) -> Result<(), Over> {
        match delivery {
            Some(Ok(delivery)) => {
                self.accept(delivery);
                Ok(())
            }
            Some(Err(error)) => Err(error.into()),
            None => {
                self.feed = None;
                Err(Over::Lost(
                    format!(
                        "RabbitMQ ended the consumer of queue `{}`: the queue was deleted, or is moving",
                        self.queue
                    )
                    .into(),
                ))
            }
        }
    }

    fn accept(&mut self, delivery: Delivery) {
        let Delivery {
            delivery_tag: tag,
            properties,
            data,
            ..
        } = delivery;
        self.tags.given(tag);
        let marks = Marks::read(&properties);
        let arrival = self
            .shared
            .afloat
            .arrive(&self.queue, &data, marks.parking.is_some(), &self.desk, tag);
        let hold = match arrival {
            Arrival::New => {
                let tally = marks.tally(&properties, self.shared.options.queue_type);
                let desk = Arc::clone(&self.desk);
                let hold = Arc::new(Hold::new(Arc::clone(&self.queue), data.into(), marks, tally, desk, tag));
                self.desk.arrive(Arc::clone(&hold));
                hold
            }
            Arrival::Resumed(hold) => {
                tracing::debug!(queue = %self.queue, "a message came again that is still worked on");
                hold
            }
            Arrival::Ended(ended) => {
                let hold = Arc::clone(&ended.hold);
                // The channel is ours, so the desk takes it.
                let _ = self.desk.end(ended);
                hold
            }
        };
        let out = Out {
            hold,
            since: Instant::now(),
            noticed: false,
        };
        self.out.insert(tag, out);
    }

    /// Tells the broker what has ended.
    async fn tell(&mut self, endings: Vec<Ended>) -> Result<(), Over> {
        let done = endings
            .iter()
            .filter(|ended| ended.ending == Ending::Done)
            .map(|ended| ended.tag);
        let acks = self.tags.finished(done.collect());
        let back: Vec<u64> = endings
            .iter()
            .filter(|ended| ended.ending == Ending::Requeue)
            .map(|ended| ended.tag)
            .collect();
        for tag in &back {
            self.tags.returned(*tag);
        }
        let acks = try_join_all(acks.into_iter().map(|ack| {
            let options = BasicAckOptions { multiple: ack.multiple };
            self.channel.basic_ack(ack.tag, options)
        }));
        let nacks = try_join_all(back.into_iter().map(|tag| {
            let options = BasicNackOptions {
                requeue: true,
                ..BasicNackOptions::default()
            };
            self.channel.basic_nack(tag, options)
        }));
        let told = tokio::try_join!(acks, nacks);
        for ended in endings {
            let Some(out) = self.out.remove(&ended.tag) else {
                continue;
            };
            match &told {
                // Whoever settled may have gone.
                Ok(_) => drop(ended.told.send(())),
                Err(_) => self.shared.afloat.lost(out.hold, Some((ended.ending, ended.told))),
            }
        }
        told?;
        Ok(())
    }

    /// When the next delivery will have been out for so long that something is to be done.
    fn next_notice(&self) -> Option<Instant> {
        let limit = parking::notice_after(&self.shared.options);
        let first = self.out.values().find(|out| !out.noticed)?;
        first.since.checked_add(limit)
    }

    fn notice(&mut self) {
        let limit = parking::notice_after(&self.shared.options);
        for (tag, out) in &mut self.out {
            if out.since.elapsed() < limit {
                break;
            }
            if !std::mem::replace(&mut out.noticed, true) {
                parking::notice(&self.shared, &out.hold, *tag);
            }
        }
    }
}

async fn next(feed: &mut Option<Feed>) -> Option<Result<Delivery, Error>> {
    match feed {
        Some(feed) => feed.stream.next().await,
        None => std::future::pending().await,
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until((at + TICK).into()).await,
        None => std::future::pending().await,
    }
}

/// So that what is due has its full age when it is looked at.
const TICK: Duration = Duration::from_millis(1);
