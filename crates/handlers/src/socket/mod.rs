//! A handler behind a Unix stream socket: plain, or protocol 1.
//!
//! The one rule: a connection on which anything went wrong, or whose exchange was ended early, is closed and never
//! used again. So an answer that comes too late can't be read as that of another call.
//!
//! **How the two dialects are told apart** ([`Dialect::Auto`]). A handler that speaks protocol 1 says hello right after
//! it has accepted; a plain one says nothing. Nothing waits for that but the very first request after the handler has
//! appeared: it is written when a hello has come, or when [`SocketOptions::hello_grace`] has passed since its connect.
//! The answer is kept until the handler is gone (a connect refused, a connection
//! lost): with a plain handler no other request waits; with protocol 1 each fresh connection waits for its
//! hello, for it will come. A hello that comes where a reply is awaited is taken too: from then on the connection, and
//! each after it, speaks protocol 1; only that one exchange went without `meta`.

pub(crate) mod connect;
mod connection;
mod exchange;
mod handler;
mod options;
mod peer;
pub(crate) mod reader;
pub(crate) mod writer;

pub use handler::SocketHandler;
pub use options::{Dialect, SocketOptions};
