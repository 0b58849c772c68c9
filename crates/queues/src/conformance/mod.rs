//! The kit that any transport must pass for what it promises.
//!
//! Whoever writes a transport writes a [`Harness`], which opens it (and, where it can, crashes it, silences a holder
//! or makes a settle fail), and runs all cases from one test:
//!
//! ```
//! use std::sync::Arc;
//! use queues::{Queue, QueueError, conformance::{self, Harness}, memory::MemoryQueue};
//!
//! struct Memory;
//!
//! #[async_trait::async_trait]
//! impl Harness for Memory {
//!     async fn open(&self, _place: &str) -> Result<Arc<dyn Queue>, QueueError> {
//!         Ok(Arc::new(MemoryQueue::new()))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance::assert_passes(&Memory).await;
//! # }
//! ```
//!
//! A case is named by a sentence, the promise that it tests. Which cases apply follows from
//! [`Queue::promises`](crate::Queue::promises): a transport is never asked for what it does not promise, and the
//! [`Report`] says so. Each case works on a place of its own, has a time limit, and says what it expected and saw.

mod cases;
mod harness;
mod report;
mod run;
mod stage;

pub use harness::{Harness, Staged};
pub use report::{Outcome, Report, Tested};
pub use run::{assert_passes, names, run, run_case};
