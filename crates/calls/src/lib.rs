//! The calls plane: programs call functions over HTTP and over local IPC, and reach services behind a proxy that keeps HTTP
//! what it is.
//!
//! ```text
//! listen: a connection, its heads checked  ->  front: who may, and whose request it is (routes, pure)
//!                                                 ->  functions: arguments checked  ->  handler
//!                                                 ->  proxy: both bodies streamed   ->  upstream
//! ipc: JSON lines  ->  functions
//! ```
//!
//! The one rule: a caller is never told that something is whole which is not. What fails before the head of an answer is an error
//! in its place; what fails later breaks the connection.

mod body;
pub mod config;
mod http1;
pub mod listen;
pub mod proxy;
pub mod routes;
mod socket;

pub use body::{Body, BodyError};
