//! Where a consumer, its deliveries and the intake of its channel meet.
//!
//! One lock over what is ready, what is allowed, and what has ended and is to be told to the broker. Nobody waits while
//! holding it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lapin::Channel;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    hold::Hold,
    tags::Tags,
    unheard::{Likeness, Unheard},
};
use crate::QueueError;

/// The meeting place of one consumer.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) channel: Channel,
    state: Mutex<State>,
    /// Told when the taker should look again.
    taker: Notify,
    /// Told when the intake should look again.
    intake: Notify,
    /// No message comes any more, and those that were not handed out are on their way back.
    quiet: CancellationToken,
}

#[derive(Debug)]
pub(super) struct State {
    /// Came from the broker and were not handed out.
    ready: VecDeque<Arc<Hold>>,
    /// What the broker waits for, by tag.
    pub(super) out: BTreeMap<u64, Out>,
    pub(super) tags: Tags,
    /// To be told to the broker.
    pub(super) endings: Vec<Ended>,
    /// Somebody tells it at this moment.
    pub(super) telling: bool,
    /// Acknowledged, and the broker may not have heard it.
    pub(super) unheard: Unheard,
    credit: usize,
    /// Handed out and not settled.
    unsettled: usize,
    phase: Phase,
}

/// A delivery that the broker waits for.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) hold: Arc<Hold>,
    since: Instant,
    /// Something was done about its long stay.
    noticed: bool,
}

#[derive(Debug, Clone)]
enum Phase {
    /// Messages come.
    Open,
    /// The consumer has gone; what it handed out is still to be settled.
    Leaving,
    /// No message comes any more though the consumer is there; what was handed out is still to be settled.
    Stopped(Arc<str>),
    /// The channel has gone.
    Lost(Arc<str>),
    /// The queue was closed by this process.
    Closed,
}

/// What is to be told to the broker of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Finished.
    Done,
    /// Back into its queue.
    Requeue,
}

/// A delivery that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) tag: u64,
    pub(super) hold: Arc<Hold>,
    pub(super) ending: Ending,
    pub(super) told: oneshot::Sender<()>,
}

/// What the intake has to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    pub(super) credit: usize,
    pub(super) leaving: bool,
}

/// A message whose channel was lost, and what was to be told of it.
pub(super) type Lost = (Arc<Hold>, Option<(Ending, oneshot::Sender<()>)>);

impl Desk {
    pub(super) fn new(channel: Channel, credit: usize) -> Self {
        Self {
            channel,
            state: Mutex::new(State {
                ready: VecDeque::new(),
                out: BTreeMap::new(),
                tags: Tags::default(),
                endings: Vec::new(),
                telling: false,
                unheard: Unheard::default(),
                credit,
                unsettled: 0,
                phase: Phase::Open,
            }),
            taker: Notify::new(),
            intake: Notify::new(),
            quiet: CancellationToken::new(),
        }
    }

    /// The next message that may be handed out at this moment.
    pub(super) fn take(&self) -> Result<Option<Arc<Hold>>, QueueError> {
        let mut state = self.lock();
        match &state.phase {
            Phase::Closed => return Err(QueueError::Closed),
            Phase::Lost(why) | Phase::Stopped(why) => {
                return Err(QueueError::Unavailable {
                    why: why.to_string(),
                    source: None,
                });
            }
            Phase::Open | Phase::Leaving => {}
        }
        if state.unsettled >= state.credit {
            return Ok(None);
        }
        let hold = state.ready.pop_front();
        state.unsettled += usize::from(hold.is_some());
        Ok(hold)
    }

    /// Whether another message may be handed out.
    pub(super) fn has_room(&self) -> bool {
        let state = self.lock();
        state.unsettled < state.credit
    }

    /// Waits until [`take`](Desk::take) is worth another try.
    pub(super) async fn arrived(&self) {
        self.taker.notified().await;
    }

    pub(super) fn set_credit(&self, credit: usize) {
        self.lock().credit = credit;
        self.taker.notify_one();
        self.intake.notify_one();
    }

    /// Whether it is a consumer that the broker does not know as one.
    pub(super) fn is_paused(&self) -> bool {
        let state = self.lock();
        state.credit == 0 && matches!(state.phase, Phase::Open)
    }

    /// The consumer goes.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Leaving;
        }
        drop(state);
        self.intake.notify_one();
    }

    /// No message comes any more: takers are told why, and what was handed out is settled on this channel.
    pub(super) fn stop(&self, why: Arc<str>) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Stopped(why);
        }
        drop(state);
        self.taker.notify_one();
    }

    /// A delivery was settled, in whatever way.
    pub(super) fn settled(&self) {
        self.lock().unsettled -= 1;
        self.taker.notify_one();
    }

    /// Lays a delivery's ending down, to be [told](Desk::tell) to the broker.
    ///
    /// # Errors
    /// The channel has gone: nobody will.
    pub(super) fn end(&self, ended: Ended) -> Result<(), Ended> {
        let mut state = self.lock();
        if let Phase::Lost(_) | Phase::Closed = state.phase {
            return Err(ended);
        }
        state.endings.push(ended);
        Ok(())
    }

    /// A delivery came.
    pub(super) fn given(&self, tag: u64, hold: Arc<Hold>) {
        let mut state = self.lock();
        state.tags.given(tag);
        let since = Instant::now();
        state.out.insert(
            tag,
            Out {
                hold,
                since,
                noticed: false,
            },
        );
    }

    /// A message came that is to be handed out.
    pub(super) fn arrive(&self, hold: Arc<Hold>) {
        self.lock().ready.push_back(hold);
        self.taker.notify_one();
    }

    /// When the next delivery will have been out for `limit`.
    pub(super) fn next_notice(&self, limit: Duration) -> Option<Instant> {
        let state = self.lock();
        let first = state.out.values().find(|out| !out.noticed)?;
        first.since.checked_add(limit)
    }

    /// Deliveries that have been out for `limit`, each once.
    pub(super) fn overdue(&self, limit: Duration) -> Vec<(u64, Arc<Hold>)> {
        let mut state = self.lock();
        let overdue = state.out.iter_mut().take_while(|(_, out)| out.since.elapsed() >= limit);
        let fresh = overdue.filter(|(_, out)| !out.noticed);
        fresh
            .map(|(tag, out)| {
                out.noticed = true;
                (*tag, Arc::clone(&out.hold))
            })
            .collect()
    }

    /// When the broker is to be asked whether it has heard what was acknowledged.
    pub(super) fn next_question(&self) -> Option<Instant> {
        self.lock().unheard.due()
    }

    /// What the broker may not have heard, at the end of its channel.
    pub(super) fn take_unheard(&self) -> VecDeque<Likeness> {
        self.lock().unheard.take()
    }

    /// Everything that came and was not handed out, to be given back.
    pub(super) fn take_back(&self) -> VecDeque<Arc<Hold>> {
        std::mem::take(&mut self.lock().ready)
    }

    pub(super) fn work(&self) -> Work {
        let state = self.lock();
        Work {
            credit: state.credit,
            leaving: Self::is_leaving(&state),
        }
    }

    /// Whether the broker waits for nothing, and nobody tells it anything.
    pub(super) fn is_done(&self) -> bool {
        let state = self.lock();
        state.out.is_empty() && !state.telling
    }

    /// Has the intake look again.
    pub(super) fn wake_intake(&self) {
        self.intake.notify_one();
    }

    /// Waits until [`work`](Desk::work) is worth another look.
    pub(super) async fn asked(&self) {
        self.intake.notified().await;
    }

    /// After [`leave`](Desk::leave): what was not handed out is on its way back.
    pub(super) fn fall_quiet(&self) {
        self.quiet.cancel();
    }

    /// Waits until no message comes any more.
    pub(super) async fn quiet(&self) {
        self.quiet.cancelled().await;
    }

    /// The channel has gone: what was handed out, and what was to be told of it. Nothing where it is we who close.
    pub(super) fn lose(&self, why: Option<Arc<str>>) -> Vec<Lost> {
        let mut state = self.lock();
        let closed = why.is_none();
        state.phase = why.map_or(Phase::Closed, Phase::Lost);
        let ready = std::mem::take(&mut state.ready);
        let endings = std::mem::take(&mut state.endings).into_iter();
        let mut endings: BTreeMap<u64, Ended> = endings.map(|ended| (ended.tag, ended)).collect();
        let mut out = std::mem::take(&mut state.out);
        // Nobody works on what was not handed out: when it comes again it is new.
        out.retain(|_, out| !ready.iter().any(|hold| Arc::ptr_eq(hold, &out.hold)));
        drop(state);
        self.fall_quiet();
        self.taker.notify_one();
        if closed {
            return Vec::new();
        }
        let lost = out.into_iter().map(|(tag, out)| {
            let pending = endings.remove(&tag).map(|ended| (ended.ending, ended.told));
            (out.hold, pending)
        });
        lost.collect()
    }

    /// Whether nobody will ask on this channel any more.
    pub(super) fn is_over(state: &State) -> bool {
        matches!(state.phase, Phase::Lost(_) | Phase::Closed)
    }

    pub(super) fn is_leaving(state: &State) -> bool {
        matches!(state.phase, Phase::Leaving | Phase::Stopped(_))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
