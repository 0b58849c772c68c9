//! Benches: what the product takes, beside what the machine could do, measured in the same run.
//!
//! - `hop`: the bench itself; `hop-echo`: the handler of every case; `hop-payload`: the message plane in one process;
//!   `hop-bare`: the floor on `RabbitMQ`;
//! - [`clock`]: the one clock that all of them read;
//! - [`message`]: the messages that go through;
//! - [`procfs`]: what the system knows of a process.
//!
//! The one rule: what is compared does the same work with the same durability, interleaved, in the same run.

pub mod clock;
pub mod message;
pub mod procfs;
