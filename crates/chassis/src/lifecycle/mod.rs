//! The life of the process: its tasks, its end, what asks for the end, and what it says of itself meanwhile.
//!
//! [`Drain`] tracks every task and carries the two words of a shutdown; [`signals`] turns Unix signals into those
//! words; [`Health`] collects how each part does; [`Admin`] answers for all of it over HTTP until the very end.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use chassis::lifecycle::{Drain, Outcome};
//!
//! let drain = Drain::new();
//! drain.spawn("station", {
//!     let drain = drain.clone();
//!     async move { drain.begun().await }
//! });
//! drain.begin();
//! assert_eq!(drain.wait(Some(Duration::from_secs(25))).await, Outcome::Finished);
//! # });
//! ```

mod admin;
mod drain;
mod health;
pub mod signals;
mod task;

pub use admin::{Admin, AdminError, Plane, Running, StatusFuture};
pub use drain::{Drain, Hold, Outcome};
pub use health::{Component, Health};
pub use task::{Scoped, Task, TaskError};
