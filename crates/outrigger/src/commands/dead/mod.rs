//! `outrigger dead`: the error-end as a workflow: list, explain, send again, drop.
//!
//! Nothing leaves the error-end before what becomes of it is safe: a redrive puts and settles in one step.

mod again;
mod command;
mod letter;
mod ls;
mod show;

pub use command::dead;
pub use show::explain;
