//! Write a function; Outrigger brings it the work.
//!
//! A handler is a plain function of a payload, or of a payload and a [`Context`]. [`serve`] puts it behind a Unix
//! socket that a sidecar connects to; a unit test calls it like any other function.
//!
//! ```no_run
//! use outrigger_handler::{Context, Error};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     amounts: Vec<f64>,
//! }
//!
//! #[derive(Serialize)]
//! struct Total {
//!     total: f64,
//! }
//!
//! fn add_up(order: Order, context: &Context) -> Result<Total, Error> {
//!     context.progress(50.0, "half way")?;
//!     Ok(Total { total: order.amounts.iter().sum() })
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     outrigger_handler::serve("add_up", add_up)
//! }
//! ```
//!
//! The rule inside: a connection's thread reads, calls the function and writes the answer itself. The thread that calls
//! [`serve`] runs no handler; it watches every connection for its peer's going.

mod connection;
mod context;
mod error;
mod frame;
mod function;
mod handlers;
mod lifeline;
mod reply;
mod server;
mod slots;
mod socket_file;
mod start;
mod value;

pub use context::{Context, ReportError};
pub use error::{Error, Fail, Retry};
pub use function::Function;
pub use handlers::{Handlers, serve};
pub use start::StartError;
pub use value::One;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
