//! What a pool knows, behind one lock that is never held across an await.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{Notify, oneshot, watch},
    task::JoinSet,
};
use tracing::{debug, error, warn};

use super::{
    Event, MemberId, MemberState, Slot,
    events::Events,
    liveness,
    member::{Cause, Change, Member},
};

/// How many members take work, and how much of it those still have that take no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness {
    /// Members that take work now.
    pub live: usize,
    /// Members that are there to take work; those that leave are not counted.
    pub members: usize,
    /// Exchanges that go on with members which take no more work: those that are down, on probation or leaving.
    pub leaving: usize,
}

impl Readiness {
    /// Whether any member takes work.
    pub fn is_ready(self) -> bool {
        self.live > 0
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) actor: String,
    pub(super) bell: Notify,
    pub(super) readiness: watch::Sender<Readiness>,
    /// Those who have work at hand and wait for a slot to do it with.
    pub(super) wanting: watch::Sender<usize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) members: Vec<Member>,
    pub(super) events: Events,
    pub(super) waiters: VecDeque<Waiter>,
    tasks: JoinSet<()>,
    last_member: u64,
    last_waiter: u64,
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) number: u64,
    pub(super) hand_over: oneshot::Sender<Slot>,
}

impl Shared {
    pub(super) fn new(actor: String) -> Self {
        Self {
            actor,
            bell: Notify::new(),
            readiness: watch::Sender::new(Readiness::default()),
            wanting: watch::Sender::new(0),
            state: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives free slots to those who wait, the longest wait first.
    pub(super) fn hand_out(self: &Arc<Self>) {
        loop {
            let mut state = self.lock();
            if state.waiters.is_empty() {
                return;
            }
            let Some(slot) = self.take(&mut state) else { return };
            let waiter = state.waiters.pop_front();
            drop(state);
            // One who has given up meanwhile leaves the slot to be dropped here, unlocked, and so given back.
            if let Some(waiter) = waiter {
                drop(waiter.hand_over.send(slot));
            }
        }
    }

    /// A slot of the least busy member that has one free.
    pub(super) fn take(self: &Arc<Self>, state: &mut State) -> Option<Slot> {
        let member = state
            .members
            .iter_mut()
            .filter(|member| member.free() > 0)
            .min_by_key(|member| member.taken)?;
        let probe = member.take();
        Some(Slot::new(self, member, probe))
    }

    /// Carries out what a change asks for. Waiters are served by the caller, unlocked.
    pub(super) fn follow(self: &Arc<Self>, state: &mut State, id: MemberId, change: Change) {
        let actor = self.actor.as_str();
        let handler = state
            .member(id)
            .map(|member| member.handler.describe())
            .unwrap_or_default();
        match change {
            Change::Live => {
                debug!(actor, handler, "handler is ready");
                state.events.push(Event::Ready(id));
            }
            Change::Leaving => {
                // Only ours leave like this, and the supervisor says so with the process's name.
                debug!(actor, handler, "handler is given no more work");
                state.events.push(Event::TimedOut(id));
            }
            Change::Down(cause @ Cause::Gone { .. }) => {
                warn!(actor, handler, "handler was lost, waiting until it accepts connections");
                state.events.push(Event::Lost(id));
                self.bring_back(state, id, cause);
            }
            Change::Down(cause @ Cause::Silent { .. }) => {
                warn!(actor, handler, "handler did not answer in time, waiting until it does");
                state.events.push(Event::TimedOut(id));
                self.bring_back(state, id, cause);
            }
        }
        self.bell.notify_one();
        self.publish(state);
    }

    /// Tells the readiness where it has changed.
    pub(super) fn publish(&self, state: &State) {
        let members = state
            .members
            .iter()
            .filter(|member| member.state != MemberState::Leaving);
        let live = members
            .clone()
            .filter(|member| member.state == MemberState::Live)
            .count();
        let now = Readiness {
            live,
            members: members.count(),
            leaving: state.leaving(),
        };
        self.readiness
            .send_if_modified(|then| std::mem::replace(then, now) != now);
    }

    /// Starts the task that sees to it that a member which is down comes up again.
    pub(super) fn bring_back(self: &Arc<Self>, state: &mut State, id: MemberId, cause: Cause) {
        while let Some(ended) = state.tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                error!(actor = self.actor, %error, "a task of the pool panicked");
            }
        }
        let State { members, tasks, .. } = state;
        if let Some(member) = members.iter_mut().find(|member| member.id == id) {
            let work = liveness::bring_back(Arc::downgrade(self), id, member.period, cause);
            member.recovery = Some(tasks.spawn(work));
        }
    }
}

impl State {
    pub(super) fn member(&mut self, id: MemberId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// Exchanges that go on with members which take no more work.
    pub(super) fn leaving(&self) -> usize {
        let others = self.members.iter().filter(|member| member.state != MemberState::Live);
        others.map(|member| member.exchanges).sum()
    }

    /// Takes a member out; the caller drops it unlocked, for it closes the handler's connections.
    pub(super) fn remove(&mut self, id: MemberId) -> Option<Member> {
        let index = self.members.iter().position(|member| member.id == id)?;
        self.events.forget(id);
        Some(self.members.remove(index))
    }

    pub(super) fn next_member(&mut self) -> MemberId {
        self.last_member += 1;
        MemberId(self.last_member)
    }

    pub(super) fn next_waiter(&mut self) -> u64 {
        self.last_waiter += 1;
        self.last_waiter
    }
}
