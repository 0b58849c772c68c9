//! What `outrigger.yaml` and the environment say, as one checked value.
//!
//! [`Root`] is the manual: every key with its meaning, unit and default. [`load`] is the one way to it, the same for
//! every command; [`survey`] also looks at the machine, for those that are about to start something.

mod asya;
mod check;
mod rabbitmq;
mod root;
mod sources;
mod survey;

#[cfg(feature = "rabbitmq")]
pub use rabbitmq::DeclareQueues;
pub use rabbitmq::RabbitMq;
pub use root::Root;
#[cfg(feature = "rabbitmq")]
pub use root::{LongJobs, QueueType};
pub use sources::{QUEUE_FLAG, chosen_actor, load};
pub use survey::survey;
