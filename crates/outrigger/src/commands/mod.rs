//! One room a command: what the command line asks for, done.
//!
//! Commands print data on stdout and everything else on stderr, and give errors to [`exit`](crate::exit).

mod check;
mod completions;
mod conformance;
pub mod dead;
pub mod demo;
mod exec;
mod init;
mod queues;
mod schema;
mod send;
mod take;
pub mod up;
pub mod watch;

pub use check::check;
pub use completions::completions;
pub use conformance::conformance;
pub use exec::exec;
pub use init::init;
pub use queues::queues;
pub use schema::schema;
pub use send::send;
pub use take::take;
