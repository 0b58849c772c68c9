//! The calls plane: programs call functions over HTTP and over local IPC, and reach services behind a proxy that keeps HTTP
//! what it is.
//!
//! ```text
//! listen: a connection, its heads checked  ->  front: who may, and whose request it is (routes, pure)
//!                                                 ->  functions: arguments checked  ->  handler
//!                                                 ->  proxy: both bodies streamed   ->  upstream
//! ipc: JSON objects  ->  functions
//! ```
//!
//! The one rule: a caller is never told that something is whole which is not. What fails before the head of an answer is an error
//! in its place; what fails later breaks the connection.

mod access_log;
mod alarm;
mod body;
pub mod config;
mod front;
mod functions;
mod http;
mod http1;
mod ipc;
pub mod listen;
mod plane;
pub mod proxy;
mod reply;
pub mod routes;
mod socket;
mod telemetry;

pub use self::http::{About, Access, AccessError, Service};
pub use body::{Body, BodyError};
pub use config::Calls;
pub use functions::FunctionHandler;
pub use listen::Peer;
pub use plane::{ActorSeat, Change, Parts, Plane, PlaneError};

/// Adds the string formats that the plane's schema names.
pub fn formats(formats: &mut chassis::config::Formats) {
    config::formats(formats);
}
