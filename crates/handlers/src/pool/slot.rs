//! The right to one exchange with a live handler.

use std::{io, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{
    MemberId, MemberState, Ownership,
    member::{Member, Outcome},
    state::Shared,
};
use crate::{Call, Handler, HandlerError, Report};

/// The right to one exchange at a time with a live handler; dropped, it goes to whoever has waited longest.
#[derive(Debug)]
#[must_use = "a slot that is dropped is given to another"]
pub struct Slot {
    pool: Arc<Shared>,
    member: MemberId,
    period: u64,
    live: CancellationToken,
    probe: bool,
}

impl Slot {
    pub(super) fn new(pool: &Arc<Shared>, member: &Member, probe: bool) -> Self {
        Self {
            pool: Arc::clone(pool),
            member: member.id,
            period: member.period,
            live: member.live.clone(),
            probe,
        }
    }

    /// The member that it belongs to.
    pub fn member(&self) -> MemberId {
        self.member
    }

    /// Whether its exchange decides if a plain foreign handler that had timed out takes work again.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// Whether its member takes no more work; a slot like that is dropped and another one waited for.
    pub fn is_revoked(&self) -> bool {
        self.live.is_cancelled()
    }

    /// Waits until its member takes no more work: whoever waits for a message with this slot stops waiting then.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn revoked(&self) {
        self.live.cancelled().await;
    }

    /// One exchange; the pool learns from it how the handler is.
    ///
    /// A slot whose member has gone meanwhile moves to another member that has one free.
    ///
    /// # Errors
    /// Those of [`Handler::call`]; [`HandlerError::Unreachable`] also when the member has gone and no other is free.
    ///
    /// # Cancellation
    /// Dropping the future ends the exchange. A process of ours is then given no more work, for it may still be
    /// working on this.
    pub async fn call(&mut self, call: &Call, report: &mut Report<'_>) -> Result<wire::Reply, HandlerError> {
        let handler = self.begin()?;
        let exchange = Exchange {
            slot: self,
            outcome: Outcome::Ended,
        };
        let result = handler.call(call, report).await;
        exchange.end(Outcome::of(&result));
        result
    }

    fn begin(&mut self) -> Result<Arc<dyn Handler>, HandlerError> {
        let pool = Arc::clone(&self.pool);
        let mut state = pool.lock();
        let (member, period) = (self.member, self.period);
        let mut left = None;
        if !state.member(member).is_some_and(|member| member.serves(period)) {
            let other = pool.take(&mut state).ok_or_else(|| self.nobody())?;
            left = Some(std::mem::replace(self, other));
        }
        let member = state.member(self.member).ok_or_else(|| self.nobody())?;
        member.exchanges += 1;
        let handler = Arc::clone(&member.handler);
        if member.state != MemberState::Live {
            pool.publish(&state);
        }
        // The slot that was left locks when it is dropped.
        drop(state);
        drop(left);
        Ok(handler)
    }

    fn nobody(&self) -> HandlerError {
        HandlerError::Unreachable {
            handler: format!("of {}", self.pool.actor),
            source: io::Error::new(io::ErrorKind::NotConnected, "none is alive and free"),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        if let Some(member) = state.member(self.member) {
            member.give_back(self.period, self.probe);
        }
        let somebody_waits = !state.waiters.is_empty();
        drop(state);
        if somebody_waits {
            self.pool.hand_out();
        }
    }
}

/// An exchange that goes on; dropped, it has been ended from our side.
struct Exchange<'a> {
    slot: &'a Slot,
    outcome: Outcome,
}

impl Exchange<'_> {
    fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        let pool = &self.slot.pool;
        let mut state = pool.lock();
        let id = self.slot.member;
        let Some(member) = state.member(id) else { return };
        member.exchanges -= 1;
        let change = member.learn(self.outcome, self.slot.period, self.slot.probe);
        let mut goes = false;
        if member.has_left() {
            member.farewells.clear();
            goes = member.ownership == Ownership::Foreign;
        }
        let live = member.state == MemberState::Live;
        if let Some(change) = change {
            pool.follow(&mut state, id, change);
        }
        let gone = if goes { state.remove(id) } else { None };
        // A live member's exchanges are no news, so that a hop costs no more than this look.
        if !live {
            pool.publish(&state);
        }
        drop(state);
        drop(gone);
        if change.is_some() {
            pool.hand_out();
        }
    }
}
