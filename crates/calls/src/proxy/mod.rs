//! The proxy: a request goes to an upstream as it came, and its answer comes back as it is.
//!
//! ```text
//! Proxy (what there is) -> Passage (one route's way to one upstream) -> call(request) -> answer
//!
//! call:  upstream (which address: balance, breaker) -> pool | connect -> exchange (upload and head at once) -> answer (the body)
//! ```
//!
//! The one rule: nothing is held back and nothing made up. Bodies go on as they come and as fast as the other side takes them; a
//! request is done twice only where that does no harm; what fails before the head is an error in its place, what fails later
//! breaks the connection.
//!
//! Pure: `address`, `balance`, `budget`, `headers`, `request`, `failure`.

mod account;
mod address;
mod answer;
mod balance;
mod budget;
mod call;
mod connect;
mod exchange;
mod failure;
mod headers;
mod metrics;
mod outgoing;
mod passage;
mod pool;
mod pulse;
mod request;
mod roster;
mod trouble;
mod tunnel;
mod upload;
mod upstream;

pub(crate) use address::UpstreamAddress;
pub use passage::{Passage, Proxy, ProxyError, ProxyParts};
