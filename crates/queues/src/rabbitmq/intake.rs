//! The channel of one consumer: what comes, how much may come, and what is acknowledged.
//!
//! A task of its own, so that messages which come again find their work, and acknowledgements go out, while nobody takes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream, SelectAll},
};
use lapin::{
    Error,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use tokio::time::{sleep_until, timeout};

use super::{
    desk::{Desk, Ending, Work},
    hold::{Arrival, Came, Hold},
    link::ANSWER,
    marks::Marks,
    parking,
    queue::Shared,
    receipt::Handout,
    trouble::{self, Refusal},
};

/// One consumer's channel.
pub(super) struct Intake {
    shared: Arc<Shared>,
    queue: Arc<str>,
    desk: Arc<Desk>,
    /// The tags of our standing orders at the broker, and what they yield.
    orders: Vec<ShortString>,
    feed: SelectAll<Feed>,
    /// What all orders together let the broker send unasked.
    prefetch: u16,
    /// How many acknowledgements the broker will have heard when it answers.
    question: Option<BoxFuture<'static, Result<usize, Error>>>,
}

/// The deliveries of an order; `None` at its end, which nobody asked for while it stands.
type Feed = BoxStream<'static, Option<Result<Delivery, Error>>>;

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
    pub(super) fn new(shared: Arc<Shared>, queue: Arc<str>, desk: Arc<Desk>) -> Self {
        Self {
            shared,
            queue,
            desk,
            orders: Vec::new(),
            feed: SelectAll::new(),
            prefetch: 0,
            question: None,
        }
    }

    /// Orders the first messages, so that a refusal is known to whoever asked.
    pub(super) async fn open(&mut self) -> Result<(), Error> {
        let credit = self.desk.work().credit;
        self.order(self.wanted(credit)).await
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
                let closed = timeout(ANSWER, self.desk.channel.close(200, "done".into())).await;
                if let Ok(Ok(())) = closed {
                    // All that was said before was heard.
                    self.desk.take_unheard();
                }
                None
            }
            Over::Closed => None,
            Over::Lost(why) => Some(why),
        };
        for (hold, pending) in self.desk.lose(why) {
            self.shared.afloat.lost(hold, pending);
        }
        self.shared.afloat.finished.add(self.desk.take_unheard());
    }

    /// One thing that happens.
    async fn serve(&mut self, closed: &tokio_util::sync::CancellationToken) -> Result<(), Over> {
        self.desk.tell(&self.shared.afloat).await;
        let Work { credit, leaving } = self.desk.work();
        self.order(if leaving { 0 } else { self.wanted(credit) }).await?;
        if leaving {
            self.desk.fall_quiet();
            // Asked now: a message may have come while the orders were canceled.
            if self.desk.is_done() {
                return Err(Over::Left);
            }
        }
        let limit = parking::notice_after(&self.shared.options);
        let notice = self.desk.next_notice(limit);
        let question = self.desk.next_question().filter(|_| self.question.is_none());
        tokio::select! {
            biased;
            () = closed.cancelled() => Err(Over::Closed),
            () = self.desk.asked() => Ok(()),
            Some(delivery) = self.feed.next() => self.receive(delivery),
            heard = answer(&mut self.question) => {
                self.question = None;
                self.desk.lock().unheard.heard(heard?);
                Ok(())
            }
            () = due(question) => {
                self.ask();
                Ok(())
            }
            () = due(notice) => {
                for (tag, hold) in self.desk.overdue(limit) {
                    parking::notice(&self.shared, &hold, tag);
                }
                Ok(())
            }
        }
    }

    /// Asks whether the broker has heard what was acknowledged: it answers in order, so anything will do that has an answer and
    /// changes nothing. What this sets counts for later orders, which set it anew.
    fn ask(&mut self) {
        let channel = self.desk.channel.clone();
        let (count, prefetch) = (self.desk.lock().unheard.len(), self.prefetch.max(1));
        let question = async move {
            channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
            Ok(count)
        };
        self.question = Some(question.boxed());
    }

    fn wanted(&self, credit: usize) -> u16 {
        if credit == 0 {
            return 0;
        }
        let wanted = self.shared.options.prefetch.map_or(credit, usize::from);
        u16::try_from(wanted).unwrap_or(u16::MAX)
    }

    /// Has the broker send so many unasked, at least. What came for an order counts against it even when the order was
    /// canceled and made anew, so there is one more order for what is wanted more; the desk holds back what is wanted
    /// less. None cancels all orders and gives back what was not handed out.
    async fn order(&mut self, wanted: u16) -> Result<(), Error> {
        if wanted == 0 {
            if self.prefetch > 0 {
                self.cancel().await?;
            }
            return Ok(());
        }
        if wanted <= self.prefetch {
            return Ok(());
        }
        let more = wanted - self.prefetch;
        self.desk.channel.basic_qos(more, BasicQosOptions::default()).await?;
        let (queue, options) = (self.queue.as_ref().into(), BasicConsumeOptions::default());
        let order = self
            .desk
            .channel
            .basic_consume(queue, "".into(), options, FieldTable::default());
        let order = order.await?;
        self.orders.push(order.tag());
        self.feed.push(order.map(Some).chain(stream::iter([None])).boxed());
        self.prefetch = wanted;
        Ok(())
    }

    async fn cancel(&mut self) -> Result<(), Error> {
        for tag in std::mem::take(&mut self.orders) {
            self.desk
                .channel
                .basic_cancel(tag, BasicCancelOptions::default())
                .await?;
        }
        // What was on its way when they were canceled.
        while let Some(delivery) = self.feed.next().await {
            if let Some(delivery) = delivery {
                self.accept(delivery?);
            }
        }
        self.prefetch = 0;
        for hold in self.desk.take_back() {
            Handout::new(Arc::clone(&self.shared), hold).give_back();
        }
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
                let why = format!(
                    "RabbitMQ ended the consumer of queue `{}`: the queue was deleted, or is moving",
                    self.queue
                );
                // The order is no more; what it brought is acknowledged on this channel still.
                self.orders.clear();
                self.desk.stop(why.into());
                let (shared, queue) = (Arc::clone(&self.shared), Arc::clone(&self.queue));
                self.shared.tasks.spawn("RabbitMQ restore", async move {
                    let restored = shared.closed.run_until_cancelled(shared.topology.restore(&queue)).await;
                    if let Some(Err(error)) = restored {
                        tracing::debug!(%queue, %error, "not declared again for now, the next who takes will try");
                    }
                });
                Ok(())
            }
        }
    }

    fn accept(&mut self, delivery: Delivery) {
        let Delivery {
            delivery_tag: tag,
            redelivered,
            properties,
            data,
            ..
        } = delivery;
        let marks = Marks::read(&properties);
        let (queue, data) = (Arc::clone(&self.queue), Bytes::from(data));
        let came = Came {
            queue: &queue,
            body: &data,
            id: properties.message_id().as_ref().map(ShortString::as_str),
            redelivered,
            is_copy: marks.parking.is_some(),
            tag,
        };
        let arrival = self.shared.afloat.arrive(&came, &self.desk);
        match arrival {
            Arrival::New | Arrival::Finished => {
                let tally = marks.tally(&properties, self.shared.options.queue_type);
                let hold = Arc::new(Hold::new(&came, data.clone(), marks, tally, Arc::clone(&self.desk)));
                self.desk.given(tag, Arc::clone(&hold));
                if let Arrival::Finished = arrival {
                    tracing::debug!(queue = %self.queue, "a message came again though it was acknowledged");
                    // It is told before the next message is looked at.
                    let _ = hold.end(Ending::Done);
                } else {
                    self.desk.arrive(hold);
                }
            }
            Arrival::Resumed(hold) => {
                tracing::debug!(queue = %self.queue, "a message came again that is still worked on");
                self.desk.given(tag, hold);
            }
            Arrival::Ended(ended) => {
                self.desk.given(tag, Arc::clone(&ended.hold));
                // The channel is ours, so the desk takes it; it is told before the next message is looked at.
                let _ = self.desk.end(ended);
            }
        }
    }
}

/// The answer to a question that was asked.
async fn answer(question: &mut Option<BoxFuture<'static, Result<usize, Error>>>) -> Result<usize, Error> {
    match question {
        Some(question) => question.await,
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
