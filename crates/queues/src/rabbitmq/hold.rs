//! A message that this process has from the broker, and where the broker keeps it meanwhile.
//!
//! A channel that is lost takes its deliveries with it: the broker gives them out again, to us or to another. The one
//! rule: **what we are still working on is not worked on twice by us.** Such a message is *adrift*; when it comes again its new
//! delivery takes the place of the old one, and if it was finished in the meantime it is acknowledged at once. Messages are
//! told apart by their bytes: two that are the same byte for byte are one and the same to everybody.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    desk::{Desk, Ended, Ending},
    marks::Marks,
    parking::Lease,
};
use crate::{QueueError, Tally};

/// A message from the broker.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) queue: Arc<str>,
    pub(super) body: Bytes,
    pub(super) marks: Marks,
    pub(super) tally: Tally,
    seat: Mutex<Seat>,
}

/// Where the broker keeps it.
#[derive(Debug)]
enum Seat {
    /// As a delivery of a channel.
    Taken { desk: Arc<Desk>, tag: u64 },
    /// As a copy in a lease queue.
    Parked(Arc<Lease>),
    /// Back in its queue; with what is to be told when it comes again.
    Adrift(Option<(Ending, oneshot::Sender<()>)>),
    /// Nowhere: it has ended.
    Gone,
}

/// What ending a message takes.
#[derive(Debug)]
pub(super) enum Farewell {
    /// The broker is told; this tells when.
    Told(oneshot::Receiver<()>),
    /// The copy in the lease queue is to be removed.
    Unpark(Arc<Lease>),
    /// It had ended before.
    Gone,
}

impl Hold {
    pub(super) fn new(queue: Arc<str>, body: Bytes, marks: Marks, tally: Tally, desk: Arc<Desk>, tag: u64) -> Self {
        Self {
            queue,
            body,
            marks,
            tally,
            seat: Mutex::new(Seat::Taken { desk, tag }),
        }
    }

    /// Ends it, wherever it is.
    pub(super) fn end(self: &Arc<Self>, ending: Ending) -> Farewell {
        let mut seat = self.lock();
        let (told, heard) = oneshot::channel();
        match std::mem::replace(&mut *seat, Seat::Gone) {
            Seat::Taken { desk, tag } => {
                let ended = Ended {
                    tag,
                    hold: Arc::clone(self),
                    ending,
                    told,
                };
                if let Err(ended) = desk.end(ended) {
                    *seat = Seat::Adrift(Some((ending, ended.told)));
                }
                Farewell::Told(heard)
            }
            Seat::Parked(lease) => Farewell::Unpark(lease),
            Seat::Adrift(None) => {
                *seat = Seat::Adrift(Some((ending, told)));
                Farewell::Told(heard)
            }
            other @ Seat::Adrift(Some(_)) => {
                *seat = other;
                Farewell::Gone
            }
            Seat::Gone => Farewell::Gone,
        }
    }

    /// Whether it is parked.
    pub(super) fn is_parked(&self) -> bool {
        matches!(*self.lock(), Seat::Parked(_))
    }

    /// The copy of a parked message went back before it came again.
    pub(super) fn expired(&self) {
        if self.is_parked() {
            self.set_adrift(None);
        }
    }

    /// Whether this delivery still stands for it.
    pub(super) fn is_at(&self, tag: u64) -> bool {
        matches!(&*self.lock(), Seat::Taken { tag: seat, .. } if *seat == tag)
    }

    /// A copy of it is safe in a lease queue: the delivery may go. Gives the desk and tag of that delivery, or `None` where it
    /// has ended or lost its channel meanwhile and the copy is of no use.
    pub(super) fn park(&self, at: u64, lease: &Arc<Lease>) -> Option<Arc<Desk>> {
        let mut seat = self.lock();
        match &*seat {
            Seat::Taken { desk, tag } if *tag == at => {
                let desk = Arc::clone(desk);
                *seat = Seat::Parked(Arc::clone(lease));
                Some(desk)
            }
            _ => None,
        }
    }

    /// Its delivery or its copy went back into its queue. `pending` is an ending that the broker was not told.
    fn set_adrift(&self, pending: Option<(Ending, oneshot::Sender<()>)>) {
        let mut seat = self.lock();
        match &*seat {
            // An ending that was under way is kept.
            Seat::Gone => {
                if pending.is_some() {
                    *seat = Seat::Adrift(pending);
                }
            }
            Seat::Adrift(Some(_)) => {}
            Seat::Taken { .. } | Seat::Parked(_) | Seat::Adrift(None) => *seat = Seat::Adrift(pending),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Messages whose channel was lost and that are still worked on, or finished and not yet acknowledged; and those that
/// are parked.
#[derive(Debug, Default)]
pub(super) struct Afloat {
    holds: Mutex<Vec<(Arc<Hold>, Instant)>>,
}

/// What to do with a message that came.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Nobody here knows it.
    New,
    /// It is one that is worked on: the delivery stands for it now.
    Resumed(Arc<Hold>),
    /// It has been finished: this is to be told to the broker.
    Ended(Ended),
}

impl Afloat {
    /// The channel of a message was lost.
    pub(super) fn lost(&self, hold: Arc<Hold>, pending: Option<(Ending, oneshot::Sender<()>)>) {
        hold.set_adrift(pending);
        self.add(hold);
    }

    /// A message was parked.
    pub(super) fn parked(&self, hold: Arc<Hold>) {
        self.add(hold);
    }

    /// Looks whether a message that came is one of these.
    pub(super) fn arrive(&self, queue: &str, body: &[u8], is_copy: bool, desk: &Arc<Desk>, tag: u64) -> Arrival {
        let mut holds = self.lock();
        if holds.is_empty() {
            return Arrival::New;
        }
        let mut found = Arrival::New;
        holds.retain(|(hold, _)| {
            if !matches!(found, Arrival::New) || &*hold.queue != queue || hold.body != body {
                return true;
            }
            let mut seat = hold.lock();
            match std::mem::replace(&mut *seat, Seat::Gone) {
                Seat::Parked(lease) if !is_copy => {
                    *seat = Seat::Parked(lease);
                    return true;
                }
                Seat::Parked(lease) => {
                    lease.give_up();
                    found = Arrival::Resumed(Arc::clone(hold));
                }
                Seat::Adrift(None) => found = Arrival::Resumed(Arc::clone(hold)),
                Seat::Adrift(Some((ending, told))) => {
                    found = Arrival::Ended(Ended {
                        tag,
                        hold: Arc::clone(hold),
                        ending,
                        told,
                    });
                }
                taken @ Seat::Taken { .. } => *seat = taken,
                Seat::Gone => {}
            }
            if let Arrival::Resumed(_) = found {
                *seat = Seat::Taken {
                    desk: Arc::clone(desk),
                    tag,
                };
            }
            false
        });
        found
    }

    fn add(&self, hold: Arc<Hold>) {
        let mut holds = self.lock();
        let now = Instant::now();
        holds.retain(|(old, since)| match &*old.lock() {
            Seat::Gone | Seat::Taken { .. } => false,
            // Somebody else has it, most likely.
            Seat::Adrift(Some(_)) => now.duration_since(*since) < KEPT,
            Seat::Adrift(None) | Seat::Parked(_) => !Arc::ptr_eq(old, &hold),
        });
        holds.push((hold, now));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Arc<Hold>, Instant)>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the broker was told.
///
/// # Errors
/// [`QueueError::LeaseLost`] where the message has not come again: somebody else has it by now.
pub(super) async fn told(heard: oneshot::Receiver<()>) -> Result<(), QueueError> {
    match tokio::time::timeout(COMES_AGAIN, heard).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(QueueError::LeaseLost),
    }
}

/// How long a message that was finished while its channel was lost is waited for.
const COMES_AGAIN: Duration = Duration::from_mins(1);
/// How long it is remembered that it was finished, should it come later than that.
const KEPT: Duration = Duration::from_mins(10);
