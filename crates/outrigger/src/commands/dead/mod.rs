//! `outrigger dead`: the error-end as a workflow: list, explain, send again, drop.
//!
//! Nothing leaves the error-end before what becomes of it is safe: a redrive puts, then settles, in one step where the
//! queue can. Where a queue cannot be looked into, its failed messages are moved to a file first.

mod again;
mod command;
mod ledger;
mod letter;
mod ls;
mod show;

pub use command::dead;
pub use show::explain;
