//! Private `RabbitMQ` nodes, for tests, benches and people.
//!
//! - [`Node`]: a node of the caller's own, which can be killed, paused and restarted on the same data; gone when dropped;
//! - [`standing`]: the node of this checkout that stays until it is stopped (`cargo xtask services`);
//! - [`shared`]: the URL of the broker that tests share;
//! - [`Proxy`]: a line to a node that can be cut, delayed and stalled.
//!
//! The one rule: a node has its own ports, data, cookie and port mapper, on loopback alone. One that was there before is
//! neither used nor touched, and what is ended is ended by its process id.

mod install;
mod kept;
mod layout;
mod node;
mod ports;
mod process;
mod proxy;
mod ready;
mod settings;
mod shared;
pub mod standing;

pub use install::{Installed, PACKAGE};
pub use node::Node;
pub use ports::free_port;
pub use proxy::{Proxy, Trouble};
pub use settings::{Settings, Tls};
pub use shared::{VARIABLE, shared};
