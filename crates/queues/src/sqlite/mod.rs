//! The durable queue in one file: `sqlite:PATH`.
//!
//! One process owns the file and its [writer](engine) does all that changes it, many hops to a sync; the others reach
//! it through a socket beside the file. A message that is given out is a *claim*, a row with a token: it survives
//! every crash, and only its token settles it. When the owner dies another process takes over, and what was asked of
//! the dead one is asked again.
//!
//! ```text
//! SqliteQueue ── session ──┬── mailbox ─────────────────────┐
//!                          └── socket ── server (owner's) ──┴── engine ── ledger (memory) + store (file)
//! ```

mod client;
mod engine;
mod fault;
mod file;
mod holder;
mod keeper;
mod ledger;
mod mailbox;
mod options;
mod protocol;
mod queue;
mod reader;
mod server;
mod session;
mod store;
mod wire;

pub use options::{Durability, SqliteOptions};
pub use queue::{SqliteQueue, open};
