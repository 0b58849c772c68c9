//! Which handlers of an actor are alive, busy or leaving, and whose turn it is.
//!
//! The one rule: a handler that is not alive takes no messages. Stations take work by a [`Slot`], the supervisor adds
//! and retires members; both see one state.
//!
//! - A member is down until a connect succeeds. While it is down a task of the pool's own tries; while all is well
//!   there is no task and no timer.
//! - Lost or unreachable: down until a connect succeeds; the wait before it is tried grows until an exchange is answered.
//! - Timed out: ours leaves (the supervisor puts a fresh one beside it); a foreign one that speaks protocol 1 is down
//!   until a ping is answered; a foreign plain one is given one probe at a time, with backoff, until one comes through.

mod events;
mod handle;
mod liveness;
mod member;
mod slot;
mod state;

pub use events::Event;
pub use handle::Pool;
pub use member::{MemberId, MemberState, MemberStatus, Ownership};
pub use slot::Slot;
pub use state::Readiness;
