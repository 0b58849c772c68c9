//! Where a consumer, its deliveries and the intake of its channel meet.
//!
//! One lock over what is ready, what is allowed, and what has ended and is to be told to the broker. Nobody waits while
//! holding it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::hold::Hold;
use crate::QueueError;

/// The meeting place of one consumer.
#[derive(Debug)]
pub(super) struct Desk {
    state: Mutex<State>,
    /// Told when the taker should look again.
    taker: Notify,
    /// Told when the intake should look again.
    intake: Notify,
    /// No message comes any more, and those that were not handed out are on their way back.
    quiet: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// Came from the broker and were not handed out.
    ready: VecDeque<Arc<Hold>>,
    endings: Vec<Ended>,
    credit: usize,
    /// Handed out and not settled.
    unsettled: usize,
    phase: Phase,
}

#[derive(Debug, Clone)]
enum Phase {
    /// Messages come.
    Open,
    /// The consumer has gone; what it handed out is still to be settled.
    Leaving,
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
#[derive(Debug)]
pub(super) struct Work {
    pub(super) endings: Vec<Ended>,
    pub(super) credit: usize,
    pub(super) leaving: bool,
}

impl Desk {
    pub(super) fn new(credit: usize) -> Self {
        Self {
            state: Mutex::new(State {
                ready: VecDeque::new(),
                endings: Vec::new(),
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
            Phase::Lost(why) => {
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

    /// A delivery was settled, in whatever way.
    pub(super) fn settled(&self) {
        self.lock().unsettled -= 1;
        self.taker.notify_one();
    }

    /// Asks for a delivery's ending to be told to the broker.
    ///
    /// # Errors
    /// The channel has gone: nobody will.
    pub(super) fn end(&self, ended: Ended) -> Result<(), Ended> {
        let mut state = self.lock();
        if let Phase::Lost(_) | Phase::Closed = state.phase {
            return Err(ended);
        }
        state.endings.push(ended);
        drop(state);
        self.intake.notify_one();
        Ok(())
    }

    /// A message came.
    pub(super) fn arrive(&self, hold: Arc<Hold>) {
        self.lock().ready.push_back(hold);
        self.taker.notify_one();
    }

    /// Everything that came and was not handed out, to be given back.
    pub(super) fn take_back(&self) -> VecDeque<Arc<Hold>> {
        std::mem::take(&mut self.lock().ready)
    }

    pub(super) fn work(&self) -> Work {
        let mut state = self.lock();
        Work {
            endings: std::mem::take(&mut state.endings),
            credit: state.credit,
            leaving: matches!(state.phase, Phase::Leaving),
        }
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

    /// The channel has gone; what was to be told to the broker.
    pub(super) fn lose(&self, why: Option<Arc<str>>) -> Vec<Ended> {
        let mut state = self.lock();
        state.phase = why.map_or(Phase::Closed, Phase::Lost);
        state.ready.clear();
        let endings = std::mem::take(&mut state.endings);
        drop(state);
        self.fall_quiet();
        self.taker.notify_one();
        endings
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
