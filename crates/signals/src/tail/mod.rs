//! Lines as they come in, for those who watch.
//!
//! The one rule: ingest never waits for a watcher. Who is slower than the lines loses some, and is told how many; while
//! nobody watches, a read costs one look at a number.

mod filter;
mod hub;
mod watch;

pub(crate) use filter::{Filter, Wanted};
pub(crate) use hub::{Cutting, Tail, WATCHERS};
pub(crate) use watch::Watch;
