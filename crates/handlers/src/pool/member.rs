//! One member: its state, and how what happens to it changes that state.
//!
//! Pure: no clock, no task. The one rule: only what happened in the member's present period counts. An exchange that
//! began before the member went down says nothing about the handler that has come up since.

use std::{fmt, sync::Arc};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{Handler, HandlerError};

/// Names a member; never given twice by one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub(super) u64);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Whose process a handler is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// We started it; after a timeout it is replaced.
    Ours,
    /// Somebody else's; after a timeout it is asked whether it works again.
    Foreign,
}

/// What a member is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// It takes no work until it is seen alive.
    Down,
    /// It takes work.
    Live,
    /// It takes one probe at a time, since it has not answered in time.
    Probation,
    /// It finishes what it has.
    Leaving,
}

/// A member as it is at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its name in the pool.
    pub id: MemberId,
    /// Its handler's address.
    pub handler: String,
    /// Whose process it is.
    pub ownership: Ownership,
    /// What it is doing.
    pub state: MemberState,
    /// Exchanges that it may have at once.
    pub slots: usize,
    /// Slots that are held, by an exchange or by one who waits for work.
    pub taken: usize,
    /// Exchanges that it has now.
    pub busy: usize,
}

/// Why a member is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// No connection, this many exchanges lost in a row: a connect that succeeds is enough, after a wait that grows.
    Gone { losses: u32 },
    /// No answer in time, this often in a row: it has to answer something.
    Silent { failures: u32 },
}

/// What an exchange says about the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered,
    Gone,
    TimedOut,
    /// The exchange was ended from our side while it may have been working.
    Ended,
    /// Nothing was asked of it.
    Untold,
}

impl Outcome {
    pub(super) fn of<T>(result: &Result<T, HandlerError>) -> Self {
        match result {
            Ok(_) | Err(HandlerError::BadReply { .. }) => Self::Answered,
            Err(HandlerError::FrameTooLarge { whose, .. }) => match whose {
                crate::Side::Request => Self::Untold,
                crate::Side::Reply => Self::Answered,
            },
            Err(HandlerError::Unreachable { .. } | HandlerError::Lost { .. }) => Self::Gone,
            Err(HandlerError::Deadline { after, .. }) if after.is_zero() => Self::Untold,
            Err(HandlerError::Deadline { .. }) => Self::Ended,
            Err(HandlerError::Timeout { .. } | HandlerError::Idle { .. }) => Self::TimedOut,
        }
    }
}

/// How a member has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is down: say so, and see to it that it is brought back.
    Down(Cause),
    /// Ours may still be working on what nobody waits for: say so.
    Leaving,
    /// A probe came through: say so.
    Live,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) ownership: Ownership,
    pub(super) slots: usize,
    pub(super) state: MemberState,
    /// Grows each time the member goes down or comes up.
    pub(super) period: u64,
    /// Cancelled when the slots of this period are worth nothing any more.
    pub(super) live: CancellationToken,
    pub(super) taken: usize,
    pub(super) exchanges: usize,
    /// Answers that did not come in time, in a row.
    failures: u32,
    /// Exchanges that found nobody or were lost since one was answered last; going down and coming up changes nothing.
    losses: u32,
    probing: bool,
    /// Those who wait for its last exchange; dropped then, or with the member.
    pub(super) farewells: Vec<oneshot::Sender<()>>,
    /// Cancelled with the member.
    pub(super) gone: CancellationToken,
    /// Brings it back while it is down.
    pub(super) recovery: Option<tokio::task::AbortHandle>,
}

impl Member {
    pub(super) fn new(id: MemberId, handler: Arc<dyn Handler>, slots: usize, ownership: Ownership) -> Self {
        Self {
            id,
            handler,
            ownership,
            slots,
            state: MemberState::Down,
            period: 0,
            live: CancellationToken::new(),
            taken: 0,
            exchanges: 0,
            failures: 0,
            losses: 0,
            probing: false,
            farewells: Vec::new(),
            gone: CancellationToken::new(),
            recovery: None,
        }
    }

    /// Slots that may be taken now.
    pub(super) fn free(&self) -> usize {
        let free = self.slots.saturating_sub(self.taken);
        match self.state {
            MemberState::Live => free,
            MemberState::Probation => free.min(usize::from(!self.probing)),
            MemberState::Down | MemberState::Leaving => 0,
        }
    }

    /// Takes a slot; true when it is a probe.
    pub(super) fn take(&mut self) -> bool {
        debug_assert!(self.free() > 0, "a slot is taken where one is free");
        self.taken += 1;
        let probe = self.state == MemberState::Probation;
        self.probing |= probe;
        probe
    }

    /// Gives a slot back.
    pub(super) fn give_back(&mut self, period: u64, probe: bool) {
        self.taken -= 1;
        if probe && period == self.period {
            self.probing = false;
        }
    }

    /// Whether a slot of `period` may still begin an exchange.
    pub(super) fn serves(&self, period: u64) -> bool {
        period == self.period && matches!(self.state, MemberState::Live | MemberState::Probation)
    }

    /// What an exchange that began in `period` has shown.
    pub(super) fn learn(&mut self, outcome: Outcome, period: u64, probe: bool) -> Option<Change> {
        let present = self.serves(period);
        if outcome == Outcome::Answered {
            self.losses = 0;
        }
        match outcome {
            Outcome::Answered if present && probe => {
                self.come_up();
                Some(Change::Live)
            }
            Outcome::Gone if present => {
                self.losses = self.losses.saturating_add(1);
                let losses = self.losses;
                Some(Change::Down(self.go_down(Cause::Gone { losses })))
            }
            Outcome::TimedOut | Outcome::Ended if self.ownership == Ownership::Ours => {
                // The period does not matter: whenever it began, the work may still be going on.
                let leaves = self.state != MemberState::Leaving;
                leaves.then(|| {
                    self.leave();
                    Change::Leaving
                })
            }
            Outcome::TimedOut if present => {
                let failures = self.failures.saturating_add(1);
                Some(Change::Down(self.go_down(Cause::Silent { failures })))
            }
            Outcome::Answered | Outcome::Gone | Outcome::TimedOut | Outcome::Ended | Outcome::Untold => None,
        }
    }

    /// It takes work again.
    pub(super) fn come_up(&mut self) {
        self.failures = 0;
        self.enter(MemberState::Live);
    }

    /// It takes one probe at a time.
    pub(super) fn go_on_probation(&mut self) {
        self.enter(MemberState::Probation);
    }

    /// It takes no more work.
    pub(super) fn leave(&mut self) {
        self.enter(MemberState::Leaving);
    }

    /// Whether it takes no more work and has none.
    pub(super) fn has_left(&self) -> bool {
        self.state == MemberState::Leaving && self.exchanges == 0
    }

    pub(super) fn status(&self) -> MemberStatus {
        MemberStatus {
            id: self.id,
            handler: self.handler.describe(),
            ownership: self.ownership,
            state: self.state,
            slots: self.slots,
            taken: self.taken,
            busy: self.exchanges,
        }
    }

    fn go_down(&mut self, cause: Cause) -> Cause {
        self.failures = match cause {
            Cause::Gone { .. } => 0,
            Cause::Silent { failures } => failures,
        };
        self.enter(MemberState::Down);
        cause
    }

    fn enter(&mut self, state: MemberState) {
        self.state = state;
        self.period += 1;
        self.probing = false;
        self.live.cancel();
        if matches!(state, MemberState::Live | MemberState::Probation) {
            self.live = CancellationToken::new();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.live.cancel();
        self.gone.cancel();
        if let Some(recovery) = &self.recovery {
            recovery.abort();
        }
    }
}
