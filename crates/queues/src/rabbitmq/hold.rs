//! A message that this process has from the broker, and where the broker keeps it meanwhile.
//!
//! A channel that is lost takes its deliveries with it: the broker gives them out again, to us or to another. The one
//! rule: **what we are still working on is not worked on twice by us.** Such a message is *adrift*; when it comes again its new
//! delivery takes the place of the old one, and if it was finished in the meantime it is acknowledged at once. It is the
//! same message if it has the same bytes and the same `message-id`, or, where it has none, was delivered before: what is
//! put anew is worked on anew.

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
    unheard::{Finished, Likeness},
};
use crate::{QueueError, Tally};

/// A message from the broker.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) queue: Arc<str>,
    pub(super) body: Bytes,
    pub(super) marks: Marks,
    pub(super) tally: Tally,
    /// The `message-id` of what the broker has of it now.
    id: Mutex<Option<Arc<str>>>,
    seat: Mutex<Seat>,
}

/// A delivery that came, as far as it tells which message it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came<'a> {
    pub(super) queue: &'a str,
    pub(super) body: &'a [u8],
    pub(super) id: Option<&'a str>,
    pub(super) redelivered: bool,
    /// It is the copy of a parked message.
    pub(super) is_copy: bool,
    pub(super) tag: u64,
}

/// Where the broker keeps it.
#[derive(Debug)]
enum Seat {
    /// As a delivery of a channel.
    Taken { desk: Arc<Desk>, tag: u64 },
    /// As a copy in a lease queue; with whether the delivery that it left was not acknowledged, and comes again.
    Parked { lease: Arc<Lease>, stray: bool },
    /// Back in its queue; with what is to be told when it comes again.
    Adrift(Option<(Ending, oneshot::Sender<()>)>),
    /// Nowhere: it has ended.
    Gone,
}

/// What ending a message takes.
#[derive(Debug)]
pub(super) enum Farewell {
    /// It is laid down there, to be told to the broker; the receiver hears when it was.
    Tell(Arc<Desk>, oneshot::Receiver<()>),
    /// The broker is told when the message comes again; this tells when.
    Told(oneshot::Receiver<()>),
    /// The copy in the lease queue is to be removed.
    Unpark(Arc<Lease>),
    /// It is parked and cannot simply go back; it has not ended.
    Parked,
    /// It had ended before.
    Gone,
}

impl Hold {
    pub(super) fn new(came: &Came<'_>, body: Bytes, marks: Marks, tally: Tally, desk: Arc<Desk>) -> Self {
        Self {
            queue: came.queue.into(),
            body,
            marks,
            tally,
            id: Mutex::new(came.id.map(Into::into)),
            seat: Mutex::new(Seat::Taken { desk, tag: came.tag }),
        }
    }

    /// Whether it is the message that came again.
    fn is(&self, came: &Came<'_>) -> bool {
        if &*self.queue != came.queue || self.body != came.body {
            return false;
        }
        match self.id().as_deref() {
            Some(id) => came.is_copy || came.id == Some(id),
            None => came.redelivered || came.is_copy,
        }
    }

    /// What it is known again by once it is acknowledged.
    pub(super) fn likeness(&self) -> Option<Likeness> {
        let id = self.id();
        id.as_ref().map(|id| Likeness::new(&self.queue, id, &self.body))
    }

    fn id(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.id.lock().unwrap_or_else(PoisonError::into_inner)
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
                match desk.end(ended) {
                    Ok(()) => Farewell::Tell(desk, heard),
                    Err(ended) => {
                        *seat = Seat::Adrift(Some((ending, ended.told)));
                        Farewell::Told(heard)
                    }
                }
            }
            Seat::Parked { lease, stray } if ending == Ending::Requeue => {
                *seat = Seat::Parked { lease, stray };
                Farewell::Parked
            }
            Seat::Parked { lease, .. } => Farewell::Unpark(lease),
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

    /// The copy of a parked message went back before it came again.
    pub(super) fn expired(&self) {
        let mut seat = self.lock();
        if let Seat::Parked { .. } = *seat {
            *seat = Seat::Adrift(None);
        }
    }

    /// The delivery that a parked message left was not acknowledged.
    pub(super) fn leaves_stray(&self) {
        if let Seat::Parked { stray, .. } = &mut *self.lock() {
            *stray = true;
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
                *seat = Seat::Parked {
                    lease: Arc::clone(lease),
                    stray: false,
                };
                Some(desk)
            }
            _ => None,
        }
    }

    /// Its delivery went back into its queue. `pending` is an ending that the broker was not told.
    fn set_adrift(&self, pending: Option<(Ending, oneshot::Sender<()>)>) {
        let mut seat = self.lock();
        match &mut *seat {
            // An ending that was under way is kept.
            Seat::Gone => {
                if pending.is_some() {
                    *seat = Seat::Adrift(pending);
                }
            }
            Seat::Adrift(Some(_)) => {}
            Seat::Parked { stray, .. } => *stray = true,
            Seat::Taken { .. } | Seat::Adrift(None) => *seat = Seat::Adrift(pending),
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
    /// Acknowledged on channels that were lost, so that the broker may not have heard.
    pub(super) finished: Finished,
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
    /// It was acknowledged once, and is to be again.
    Finished,
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
    pub(super) fn arrive(&self, came: &Came<'_>, desk: &Arc<Desk>) -> Arrival {
        let mut holds = self.lock();
        let mut found = Arrival::New;
        holds.retain(|(hold, _)| {
            if !matches!(found, Arrival::New) || !hold.is(came) {
                return true;
            }
            let mut seat = hold.lock();
            match std::mem::replace(&mut *seat, Seat::Gone) {
                Seat::Parked { lease, stray } if !came.is_copy => {
                    *seat = Seat::Parked { lease, stray: false };
                    if stray {
                        // One too many: the copy stands for it.
                        found = Arrival::Ended(Ended {
                            tag: came.tag,
                            hold: Arc::clone(hold),
                            ending: Ending::Done,
                            told: oneshot::channel().0,
                        });
                    }
                    return true;
                }
                Seat::Parked { lease, .. } => {
                    lease.give_up();
                    found = Arrival::Resumed(Arc::clone(hold));
                }
                Seat::Adrift(None) => found = Arrival::Resumed(Arc::clone(hold)),
                Seat::Adrift(Some((ending, told))) => {
                    found = Arrival::Ended(Ended {
                        tag: came.tag,
                        hold: Arc::clone(hold),
                        ending,
                        told,
                    });
                }
                taken @ Seat::Taken { .. } => *seat = taken,
                Seat::Gone => {}
            }
            if let Arrival::Resumed(_) = found {
                *hold.id() = came.id.map(Into::into);
                *seat = Seat::Taken {
                    desk: Arc::clone(desk),
                    tag: came.tag,
                };
            }
            false
        });
        drop(holds);
        match found {
            Arrival::New if self.finished.has(came) => Arrival::Finished,
            found => found,
        }
    }

    fn add(&self, hold: Arc<Hold>) {
        let mut holds = self.lock();
        let now = Instant::now();
        holds.retain(|(old, since)| match &*old.lock() {
            Seat::Gone | Seat::Taken { .. } => false,
            // Somebody else has it, most likely.
            Seat::Adrift(Some(_)) => now.duration_since(*since) < KEPT,
            Seat::Adrift(None) | Seat::Parked { .. } => !Arc::ptr_eq(old, &hold),
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

/// How long a message that was finished while its channel was lost is waited for: longer than a consumer takes to be there
/// again. A shutdown waits for it too.
const COMES_AGAIN: Duration = Duration::from_secs(20);
/// How long it is remembered that it was finished, should it come later than that.
const KEPT: Duration = Duration::from_mins(10);
