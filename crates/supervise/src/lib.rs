//! Handler processes and their number: starts them, keeps them alive, retires and stops them.
//!
//! The one rule: **a process is stopped only when it has no work.** A [`Supervisor`] fills and empties a
//! [`handlers::Pool`]; who is busy and who is alive is the pool's to know, which message goes where is the stations'.

mod command;
mod console;
mod descriptors;
mod exec;
mod mask;
mod process;
mod record;
mod replica;
mod spawner;
mod supervisor;

pub use command::{ProcessSpec, Told, clean_environment};
pub use console::{Console, Style};
pub use descriptors::raise_descriptor_limit;
pub use exec::{ExecError, exec};
pub use mask::hear_signals;
pub use record::{Record, RecordError};
pub use spawner::Spawner;
pub use supervisor::{Connect, SuperviseError, Supervisor};
