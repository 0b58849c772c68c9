//! Where lines come in: listeners, connections, and what is done with each line.

mod connection;
mod listener;
mod session;
mod sorter;
mod splitter;
mod stream;
mod tls;

pub(crate) use listener::{Listener, Terms};
pub use splitter::{Piece, Splitter};
