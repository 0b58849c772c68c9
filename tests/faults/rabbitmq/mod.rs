//! What Outrigger survives of a RabbitMQ broker: killed, restarted, paused, full, with its connections closed, its queue
//! deleted and its line cut at random bytes; under load, and with the sidecar killed besides.
//!
//! On a broker a crash can repeat an output, recognisable by its id; nothing is ever lost, and all goes on by itself.

mod alarms;
mod deletion;
mod kills;
mod lines;
mod long;
mod town;
