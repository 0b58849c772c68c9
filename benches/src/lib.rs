//! Benches: what the product takes, beside what the machine could do, measured in the same run.
//!
//! - `hop`: the bench itself; `hop-echo`: the handler of every case; `hop-payload`: the message plane in one process;
//!   `hop-bare`: the floor on `RabbitMQ`;
//! - `signals`: the bench of the telemetry plane; `lines-bare`: its floor; `lines-send`: the sender of every case;
//! - [`clock`]: the one clock that all of them read;
//! - [`message`]: the messages that go through; [`lines`]: the signal lines; [`exchange`]: the requests and answers;
//! - [`procfs`]: what the system knows of a process;
//! - `calls`: the bench of the calls plane; `calls-hyper`: its floor as a proxy; `calls-lines`: its floor on a Unix socket;
//!   `calls-upstream`: the service behind every proxy; `calls-load`: who asks;
//! - [`peer`]: programs that stand beside the product;
//! - [`interrupt`]: a bench that is told to end leaves nothing behind;
//! - [`run`], [`case`], [`report`], [`figures`], [`pin`], [`process`]: what every bench stands on.
//!
//! The one rule: what is compared does the same work with the same durability, interleaved, in the same run.

pub mod case;
pub mod clock;
pub mod exchange;
pub mod figures;
pub mod interrupt;
pub mod lines;
pub mod message;
pub mod peer;
pub mod pin;
pub mod process;
pub mod procfs;
pub mod report;
pub mod run;
