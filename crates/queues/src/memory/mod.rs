//! A queue in this process's memory, for tests and benches.
//!
//! It keeps every promise that does not need a disk or a second process. Bodies are shared, never copied; waiting is
//! by notification, and time is tokio's, so that a test may pause it. There is no task in here: whoever calls does
//! the work.

mod consumer;
mod line;
mod queue;

pub use queue::MemoryQueue;
