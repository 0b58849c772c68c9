//! RabbitMQ: a durable topic exchange, a queue for each actor, confirms before acknowledgements.
//!
//! The rules, each in its room: a message is safe when its own confirm came ([`publisher`]); one acknowledgement covers
//! the finished prefix and a slow head holds up nobody ([`tags`]); what a lost channel gives back is not worked on
//! twice by us ([`hold`]), nor is what was acknowledged and not heard ([`unheard`]); puts and takes have a connection
//! each, and both are made anew in whatever state they were lost ([`link`]); a broker that says no is an error with its
//! cure, and one that is away is waited for ([`trouble`]).

mod consumer;
mod delay;
mod desk;
mod detached;
mod hold;
mod intake;
mod link;
mod marks;
mod options;
mod parking;
mod publisher;
mod queue;
mod receipt;
mod tags;
mod tell;
mod topology;
mod trim;
mod trouble;
mod unheard;

pub use options::{Existing, LongJobs, QueueType, RabbitOptions, TlsFiles, check_url};
pub use queue::RabbitQueue;
