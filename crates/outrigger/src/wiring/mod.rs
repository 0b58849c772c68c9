//! Puts the parts together: a queue, its stations, their handlers, the admin server; and takes them apart in order.
//!
//! Order matters at the end only: intake stops, what is in flight ends, handler processes are stopped, the queue is
//! let go, and the admin server answers until then.

mod actors;
mod admin;
mod functions;
mod python;
mod reload;
mod running;

pub use actors::Mode;
pub use running::{Options, Running, queues_of};
