//! What every plane is bolted to, in no plane's words.
//!
//! - [`config`]: the configuration, read and checked, with a place for everything that is wrong;
//! - [`guard`]: the policies around everything that can fail (attempts, backoff, breaker, limit, timeout);
//! - [`lifecycle`]: tasks, drain, Unix signals, health, and the admin address;
//! - [`listen`]: Unix sockets for this user alone, certificates that are read again;
//! - [`telemetry`]: logs, metrics and traces of the process itself.
//!
//! A thing enters only when a second plane needs it.

pub mod config;
pub mod guard;
pub mod lifecycle;
pub mod listen;
pub mod telemetry;
