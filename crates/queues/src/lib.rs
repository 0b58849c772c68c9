//! Queues: where messages wait, durably, until a handler has finished with them.
//!
//! One trait, [`Queue`], stands over every transport. The one rule: **nothing is acknowledged before what it
//! produced is safe.** A [`Delivery`] is settled by value, exactly once, and one that is dropped unsettled goes
//! back. [`open`] chooses the transport by the URL's scheme; [`conformance`] is the kit that each of them passes
//! for what it [promises](Promises).

mod delivery;
mod error;
mod open;
mod queue;

pub mod conformance;
pub mod memory;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use delivery::{Again, Delivery, ForwardError, Receipt, Settle, Tally};
pub use error::{BoxError, QueueError};
pub use open::{TRANSPORTS, open};
pub use queue::{Browsed, Consumer, Promises, Put, Queue, QueueSpec, QueueStats, Retention};
