//! Giving a dead message another chance.

use bytes::Bytes;
use jiff::Timestamp;

use super::Envelope;
use super::decode::{ATTEMPT, DEADLINE, ERROR};
use crate::names::actor_name;

/// A message as it goes back to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The actor on whose queue it is put.
    pub actor: String,
    /// The message.
    pub body: Bytes,
}

/// Why a message can't be replayed as it is; an edited one may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It has no route: what was buried as an invalid envelope has none.
    #[error("message `{id}` has no route: give it one")]
    NoRoute {
        /// The message.
        id: String,
    },
    /// Its route does not say who has it.
    #[error("`route.current` of message `{id}` is {current}, outside its route: edit it")]
    Outside {
        /// The message.
        id: String,
        /// Its `current`.
        current: i64,
    },
    /// The actor whose turn it is has no possible name.
    #[error("the route of message `{id}` has `{actor}`, which is no actor: edit it")]
    NoActor {
        /// The message.
        id: String,
        /// The name in its route.
        actor: String,
    },
}

impl Envelope {
    /// The message as it goes back to the actor that its route names: without `error`, `attempt` and a deadline that
    /// has passed at `now`.
    pub fn replay(&self, now: Timestamp) -> Result<Replay, ReplayError> {
        let id = || self.id().to_owned();
        if self.route.is_none() {
            return Err(ReplayError::NoRoute { id: id() });
        }
        let current = self.current();
        let actor = self.here().ok_or_else(|| ReplayError::Outside { id: id(), current })?;
        let actor = actor_name(actor).map_err(|error| ReplayError::NoActor {
            id: id(),
            actor: error.name,
        })?;
        let mut edit = self.edit();
        edit.remove(ERROR);
        edit.remove(ATTEMPT);
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            edit.remove(DEADLINE);
        }
        Ok(Replay {
            actor: actor.to_owned(),
            body: edit.finish().into(),
        })
    }
}
