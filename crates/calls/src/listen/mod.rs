//! Listeners: connections in, requests out to whoever handles them, answers back.
//!
//! ```text
//! Address -> Listener -> doorway (TLS, HTTP/1 or 2) -> http1 | http2 -> Handle::handle(request, peer) -> answer
//! ```
//!
//! The one rule: a request that is handed on is one that every reader takes for the same. What is not is refused here.
//!
//! What a handler finds in a request's extensions: [`Interim`] to send 1xx before its answer, and [`Expectation`] where the client
//! waits for 100. What it may put into those of its answer: [`Takeover`], with status 101, and [`Patience`] with a
//! client that reads nothing.

mod address;
mod doorway;
mod http1;
mod http2;
mod interim;
mod listener;
mod patience;
mod peer;
mod refusal;
mod request_body;
mod takeover;
mod unwanted;

pub use address::{Address, BadAddress};
pub use interim::{Expectation, Interim};
pub use listener::{Handle, ListenError, Listener};
pub use patience::Patience;
pub use peer::{Origin, Peer};
pub use takeover::{Input, Output, Takeover};
