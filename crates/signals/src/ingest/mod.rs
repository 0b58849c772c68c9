//! Where lines come in: listeners, connections, and what is done with each line.

mod connection;
mod doorway;
mod draft;
mod inlet;
mod internal;
mod listener;
mod others;
mod otlp;
mod session;
mod sorter;
mod splitter;
mod stream;
pub mod syslog;
mod wrongs;

use draft::Draft;
pub(crate) use internal::Internal;
pub(crate) use listener::{Listener, Terms};
pub use others::OtherAddresses;
pub(crate) use others::Others;
pub use splitter::{Piece, Splitter};
