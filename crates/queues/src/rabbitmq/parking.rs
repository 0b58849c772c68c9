//! Handlers that work for longer than the broker waits for an acknowledgement.
//!
//! RabbitMQ takes a delivery back that was not acknowledged within its `consumer_timeout`, and closes the channel. Either
//! that is said in time, or the delivery is *parked*: a copy is confirmed into a lease queue of its own, out of which it goes
//! back to the actor's queue when nobody renews it; the delivery is acknowledged; the copy is replaced before its time is
//! over, and removed when the outputs are safe. At every moment the broker has the message, at least once.

use std::{sync::Arc, time::Duration};

use lapin::{
    Channel,
    options::{BasicAckOptions, BasicGetOptions, QueueDeleteOptions},
};
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    delay,
    desk::{Ended, Ending},
    hold::{self, Hold},
    marks::Marks,
    options::{LongJobs, RabbitOptions},
    publisher::Parcel,
    queue::Shared,
    topology::timed,
    trouble,
};
use crate::QueueError;

/// A message's copy on the broker while it is worked on.
#[derive(Debug)]
pub(super) struct Lease {
    queue: Arc<str>,
    copy: Mutex<Copy>,
    over: CancellationToken,
}

/// The copy that stands for the message; locked while it is changed.
#[derive(Debug)]
struct Copy {
    number: i64,
    /// How many copies there were when the lease queue was deleted.
    deleted: Option<u32>,
}

impl Lease {
    /// The copy went back and came again: it is not renewed any more.
    pub(super) fn give_up(&self) {
        self.over.cancel();
    }
}

/// After how long something is done about a delivery.
pub(super) fn notice_after(options: &RabbitOptions) -> Duration {
    match options.long_jobs {
        LongJobs::Warn => options.consumer_timeout.mul_f64(0.8),
        // The broker may be set to less than we were told, and parking costs little.
        LongJobs::Park => (options.consumer_timeout / 2).min(PARK_AFTER),
    }
}

/// How long a copy waits before it goes back: so long after its holder died the message is given out again.
fn life(options: &RabbitOptions) -> Duration {
    2 * notice_after(options)
}

/// Twice within the life of a copy, and once more.
fn renew_every(options: &RabbitOptions) -> Duration {
    life(options) / 3
}

/// A delivery has been out for that long.
pub(super) fn notice(shared: &Arc<Shared>, hold: &Arc<Hold>, tag: u64) {
    if !hold.is_at(tag) {
        return;
    }
    match shared.options.long_jobs {
        LongJobs::Warn => warn!(
            queue = %hold.queue,
            consumer_timeout_s = shared.options.consumer_timeout.as_secs(),
            "a handler has worked for most of the broker's consumer timeout, after which its message is given out again: set \
             `long_jobs: park`, or raise `consumer_timeout` in rabbitmq.conf and in `rabbitmq.consumer_timeout`"
        ),
        LongJobs::Park => {
            let (parker, hold) = (Arc::clone(shared), Arc::clone(hold));
            shared.tasks.spawn("RabbitMQ parking", async move {
                let closed = parker.closed.clone();
                closed.run_until_cancelled(park(&parker, hold, tag)).await;
            });
        }
    }
}

/// Parks a delivery, and renews its copy for as long as it is worked on.
async fn park(shared: &Arc<Shared>, hold: Arc<Hold>, tag: u64) {
    let name: Arc<str> = format!("{}.lease.{}", hold.queue, uuid::Uuid::now_v7().simple()).into();
    let lease = Arc::new(Lease {
        queue: name,
        copy: Mutex::new(Copy {
            number: 1,
            deleted: None,
        }),
        over: CancellationToken::new(),
    });
    if let Err(error) = put_copy(shared, &hold, &lease, 1).await {
        warn!(queue = %hold.queue, %error, "a message could not be parked; its delivery may be taken back");
        return;
    }
    let Some(desk) = hold.park(tag, &lease) else {
        // It ended while the copy was made, or its channel was lost and it comes again by itself.
        let _ = delete(shared, &lease).await;
        return;
    };
    shared.afloat.parked(Arc::clone(&hold));
    let (told, _) = tokio::sync::oneshot::channel();
    let ended = Ended {
        tag,
        hold: Arc::clone(&hold),
        ending: Ending::Done,
        told,
    };
    match desk.end(ended) {
        Ok(()) => desk.tell(&shared.afloat).await,
        Err(_) => hold.leaves_stray(),
    }
    info!(queue = %hold.queue, lease = %lease.queue, "a long job is parked on the broker while its handler works");
    loop {
        tokio::select! {
            () = lease.over.cancelled() => break,
            () = sleep(renew_every(&shared.options)) => {}
        }
        match renew(shared, &hold, &lease).await {
            Ok(Renewal::Done) => debug!(queue = %hold.queue, lease = %lease.queue, "lease renewed"),
            Ok(Renewal::Over) => break,
            Ok(Renewal::Expired) => {
                warn!(queue = %hold.queue, "a parked message was not renewed in time: it is given out again");
                lease.give_up();
                hold.expired();
                break;
            }
            Err(error) => warn!(queue = %hold.queue, %error, "a lease could not be renewed for now, trying again"),
        }
    }
    // Where the message ended, who ended it does the same, and one of the two finds it done.
    let _ = delete(shared, &lease).await;
}

enum Renewal {
    Done,
    /// It ended, or came back.
    Over,
    /// The copy had gone back.
    Expired,
}

/// Puts the next copy, then takes the one before away.
async fn renew(shared: &Arc<Shared>, hold: &Arc<Hold>, lease: &Arc<Lease>) -> Result<Renewal, QueueError> {
    let mut copy = lease.copy.lock().await;
    if lease.over.is_cancelled() {
        return Ok(Renewal::Over);
    }
    put_copy(shared, hold, lease, copy.number + 1).await?;
    let channel = shared.take.channel().await?;
    loop {
        let get = channel.basic_get(lease.queue.as_ref().into(), BasicGetOptions::default());
        let got = timed(get, "renew a lease")
            .await?
            .map_err(|error| trouble::away("renew a lease", error))?;
        let Some(got) = got else {
            return Ok(Renewal::Expired);
        };
        let number = Marks::read(&got.delivery.properties).parking.unwrap_or(0);
        if number > copy.number {
            // The old one is not there any more.
            return Ok(Renewal::Expired);
        }
        let ack = channel.basic_ack(got.delivery.delivery_tag, BasicAckOptions::default());
        timed(ack, "renew a lease")
            .await?
            .map_err(|error| trouble::away("renew a lease", error))?;
        if number == copy.number {
            copy.number += 1;
            let _ = timed(channel.close(200, "done".into()), "close a channel").await;
            return Ok(Renewal::Done);
        }
    }
}

/// The outputs are safe, or the message is back in its queue: its copy is removed.
pub(super) async fn remove(shared: &Arc<Shared>, lease: &Arc<Lease>, hold: &Arc<Hold>) -> Result<(), QueueError> {
    lease.over.cancel();
    let mut tries = shared.tries(None);
    let mut unclear = false;
    let removed = loop {
        match delete(shared, lease).await {
            Ok(removed) => break removed,
            Err(error) => tries.failed(error).await?,
        }
        unclear = true;
    };
    // A try whose answer was lost may have done it.
    if removed > 0 || unclear {
        return Ok(());
    }
    // It had gone back: when it comes again, it has ended.
    let (told, heard) = tokio::sync::oneshot::channel();
    shared.afloat.lost(Arc::clone(hold), Some((Ending::Done, told)));
    hold::told(heard).await
}

async fn put_copy(shared: &Arc<Shared>, hold: &Hold, lease: &Lease, number: i64) -> Result<(), QueueError> {
    shared.delays.forget(&lease.queue);
    let patience = renew_every(&shared.options);
    let life = u64::try_from(life(&shared.options).as_millis()).unwrap_or(u64::MAX);
    let mut tries = shared.tries(Some(patience));
    while let Err(error) = delay::declare(shared, &lease.queue, &hold.queue, life).await {
        tries.failed(error).await?;
    }
    let marks = Marks {
        before: hold.tally.deliveries.unwrap_or(0),
        attempt: hold.tally.attempt,
        parking: Some(number),
        ..hold.marks.clone()
    };
    let parcel = Parcel {
        expires: Some(life),
        ..shared.parcel_straight(&lease.queue, hold.body.clone(), marks)
    };
    shared.put_all(vec![parcel], Some(patience)).await
}

/// Deletes the lease queue, once; how many copies were in it.
async fn delete(shared: &Arc<Shared>, lease: &Lease) -> Result<u32, QueueError> {
    let mut copy = lease.copy.lock().await;
    if let Some(deleted) = copy.deleted {
        return Ok(deleted);
    }
    let channel: Channel = shared.take.channel().await?;
    let delete = channel.queue_delete(lease.queue.as_ref().into(), QueueDeleteOptions::default());
    let deleted = timed(delete, "remove a lease").await?;
    let deleted = deleted.map_err(|error| trouble::away("remove a lease", error))?;
    copy.deleted = Some(deleted);
    Ok(deleted)
}

/// When a delivery is parked at the latest.
const PARK_AFTER: Duration = Duration::from_secs(30);
