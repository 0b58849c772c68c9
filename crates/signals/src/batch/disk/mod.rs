//! Lines that wait on disk, one file a backend, so that they survive the process.
//!
//! ```text
//! Disk (a handle, async)  -- commands -->  writer (a thread)  ->  Ledger (rows in SQLite)  ->  file
//! ```
//!
//! The one rule: what was answered is written. A transaction takes in all commands that came while the one before was
//! under way, and they are answered once it is committed.

mod file;
mod ledger;
mod shelf;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use file::{forgotten, path};
pub(crate) use store::Disk;
