//! The user's code, wherever it runs.
//!
//! - [`Handler`]: one exchange at a time per call, whatever carries it;
//! - [`socket`]: a process behind a Unix stream socket, plain or protocol 1;
//! - [`http`]: a server on a port or a Unix socket;
//! - [`asya`]: an existing runtime of Asya;
//! - [`Pool`]: which handlers are alive, busy or leaving, and whose turn it is.
//!
//! What a reply means for a message is not decided here; that is for whoever asked.

pub mod asya;
mod call;
mod error;
mod handler;
pub mod http;
mod limits;
pub mod pool;
pub mod socket;
mod trouble;

pub use asya::{AsyaHandler, AsyaOptions};
pub use call::Call;
pub use error::{BadAnswer, HandlerError, Side};
pub use handler::{Handler, Liveness, Report};
pub use http::{BadAddress, HttpAddress, HttpHandler, HttpOptions};
pub use pool::{Event, MemberId, MemberState, MemberStatus, Ownership, Pool, Readiness, Slot};
pub use socket::{Dialect, SocketHandler, SocketOptions};
