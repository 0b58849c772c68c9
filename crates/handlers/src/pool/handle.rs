//! The pool as stations and the supervisor see it.

use std::{future::Future, io, sync::Arc};

use tokio::sync::{oneshot, watch};
use wire::Hello;

use super::{
    Event, MemberId, MemberState, MemberStatus, Ownership, Readiness, Slot,
    member::{Cause, Member},
    state::{Shared, State, Waiter},
};
use crate::{Handler, HandlerError};

/// The handlers of one actor; a cheap handle, clones share one pool.
///
/// ```no_run
/// use std::sync::Arc;
/// use handlers::{Ownership, Pool, SocketHandler, SocketOptions};
///
/// # async fn example(call: handlers::Call) -> Result<(), handlers::HandlerError> {
/// let pool = Pool::new("clean");
/// pool.add(Arc::new(SocketHandler::new(SocketOptions::new("/run/clean.sock"))), 1, Ownership::Foreign);
/// let mut slot = pool.slot().await;
/// let reply = slot.call(&call, &mut |interim| println!("{interim:?}")).await?;
/// # drop(reply); Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// A pool without members; `actor` names it in logs.
    pub fn new(actor: impl Into<String>) -> Self {
        Self {
            shared: Arc::new(Shared::new(actor.into())),
        }
    }

    /// The actor whose handlers these are.
    pub fn actor(&self) -> &str {
        &self.shared.actor
    }

    /// Adds a handler with `slots` exchanges at once; it takes work as soon as a connect has succeeded.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn add(&self, handler: Arc<dyn Handler>, slots: usize, ownership: Ownership) -> MemberId {
        let mut state = self.shared.lock();
        let id = state.next_member();
        state.members.push(Member::new(id, handler, slots, ownership));
        self.shared.bring_back(&mut state, id, Cause::Gone { losses: 0 });
        self.shared.publish(&state);
        id
    }

    /// Gives a member no more work, from now on; the future ends when its exchanges have ended.
    ///
    /// A foreign member is gone then. Ours stays until it is removed, as its process may go on: see [`Pool::gone`].
    /// Slots that are held without an exchange are not waited for: they are revoked. A member that is not there has
    /// gone already.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing: the member leaves all the same.
    pub fn retire(&self, id: MemberId) -> impl Future<Output = ()> + Send + use<> {
        let mut state = self.shared.lock();
        let mut last_exchange = None;
        let mut gone = None;
        let mut handler = None;
        if let Some(member) = state.member(id) {
            member.leave();
            handler = Some(Arc::clone(&member.handler));
            if !member.has_left() {
                let (farewell, heard) = oneshot::channel();
                member.farewells.push(farewell);
                last_exchange = Some(heard);
            } else if member.ownership == Ownership::Foreign {
                gone = state.remove(id);
            }
            self.shared.publish(&state);
        }
        drop(state);
        drop(gone);
        async move {
            if let Some(heard) = last_exchange {
                // The sender is dropped with the last exchange, or with the member.
                let _ = heard.await;
            }
            // A handler that is asked to stop may wait for its connections to be closed.
            if let Some(handler) = handler {
                handler.rest();
            }
        }
    }

    /// Takes a member out at once, exchanges or not: its process is gone.
    pub fn remove(&self, id: MemberId) {
        let mut state = self.shared.lock();
        let gone = state.remove(id);
        self.shared.publish(&state);
        drop(state);
        drop(gone);
    }

    /// Waits until a member is no longer here, which for ours is when its process has ended; at once where it has gone
    /// already.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn gone(&self, id: MemberId) {
        let gone = self.shared.lock().member(id).map(|member| member.gone.clone());
        if let Some(gone) = gone {
            gone.cancelled().await;
        }
    }

    /// Waits until a member that takes work has a slot free, and takes it: the least busy member's, first come, first
    /// served.
    ///
    /// # Cancellation
    /// Dropping the future gives up the place in the row; no slot is lost.
    pub async fn slot(&self) -> Slot {
        let mut number = None;
        loop {
            let mut row = {
                let mut state = self.shared.lock();
                let number = *number.get_or_insert_with(|| state.next_waiter());
                let first = state.waiters.front().is_none_or(|waiter| waiter.number > number);
                if first && let Some(slot) = self.shared.take(&mut state) {
                    return slot;
                }
                let (hand_over, slot) = oneshot::channel();
                let place = state.waiters.partition_point(|waiter| waiter.number < number);
                state.waiters.insert(place, Waiter { number, hand_over });
                Row {
                    shared: &self.shared,
                    number,
                    slot,
                }
            };
            // A waiter is dropped only with the pool, and we hold the pool.
            if let Ok(slot) = (&mut row.slot).await
                && !slot.is_revoked()
            {
                return slot;
            }
        }
    }

    /// As [`slot`](Self::slot), for those who have work at hand: whoever holds a slot and only waits for work hears of it by
    /// [`wanted`](Self::wanted).
    ///
    /// # Cancellation
    /// As of [`slot`](Self::slot).
    pub async fn slot_for_work(&self) -> Slot {
        tokio::select! {
            biased;
            slot = self.slot() => return slot,
            () = std::future::ready(()) => {}
        }
        let _wish = Wish::new(&self.shared);
        self.slot().await
    }

    /// Waits until somebody has work at hand and no slot to do it with: one who holds a slot and has no work gives it up then,
    /// and waits anew.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn wanted(&self) {
        let mut wanting = self.shared.wanting.subscribe();
        // The sender is ours.
        let _ = wanting.wait_for(|wanting| *wanting > 0).await;
    }

    /// What a handler that takes work says of itself; `None` where it says nothing.
    ///
    /// # Errors
    /// Those of [`Handler::greet`]; [`HandlerError::Unreachable`] where none takes work.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn greet(&self) -> Result<Option<Arc<Hello>>, HandlerError> {
        let live = {
            let state = self.shared.lock();
            let mut members = state.members.iter();
            let live = members.find(|member| member.state == MemberState::Live);
            live.map(|member| Arc::clone(&member.handler))
        };
        match live {
            Some(handler) => handler.greet().await,
            None => Err(HandlerError::Unreachable {
                handler: format!("of {}", self.actor()),
                source: io::Error::new(io::ErrorKind::NotConnected, "none is alive"),
            }),
        }
    }

    /// Exchanges that go on now.
    pub fn busy(&self) -> usize {
        self.shared.lock().members.iter().map(|member| member.exchanges).sum()
    }

    /// Exchanges that the members which take work may have at once.
    pub fn slots(&self) -> usize {
        live_slots(&self.shared.lock())
    }

    /// Exchanges that may be out: as many as the members which take work may have, and those that go on with members
    /// which take no more. A change of it is told by [`Pool::readiness`].
    pub fn room(&self) -> usize {
        let state = self.shared.lock();
        live_slots(&state) + state.leaving()
    }

    /// All members as they are now, in the order in which they were added.
    pub fn members(&self) -> Vec<MemberStatus> {
        self.shared.lock().members.iter().map(Member::status).collect()
    }

    /// How many members take work, and what those still have that take no more; now and whenever it changes.
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.shared.readiness.subscribe()
    }

    /// The next thing that happened to a member, for the supervisor. Each is told once, to one caller.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub async fn event(&self) -> Event {
        loop {
            let rung = self.shared.bell.notified();
            {
                let mut state = self.shared.lock();
                if let Some(event) = state.events.pop() {
                    if !state.events.is_empty() {
                        self.shared.bell.notify_one();
                    }
                    return event;
                }
            }
            rung.await;
        }
    }
}

fn live_slots(state: &State) -> usize {
    let live = state.members.iter().filter(|member| member.state == MemberState::Live);
    live.map(|member| member.slots).sum()
}

/// That somebody has work at hand; dropped, it is taken back.
struct Wish<'a>(&'a Shared);

impl<'a> Wish<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.wanting.send_modify(|wanting| *wanting += 1);
        Self(shared)
    }
}

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        self.0.wanting.send_modify(|wanting| *wanting -= 1);
    }
}

/// A place in the row; dropped, it is given up.
struct Row<'a> {
    shared: &'a Shared,
    number: u64,
    slot: oneshot::Receiver<Slot>,
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.waiters.retain(|waiter| waiter.number != self.number);
    }
}
