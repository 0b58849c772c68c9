//! What RabbitMQ queues do beyond the kit: lost lines, refusals with their cures, returned messages, encryption, long
//! jobs. Against real nodes; each test has an exchange and queues of its own.

#![cfg(feature = "rabbitmq")]
#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]
#![expect(clippy::disallowed_methods, reason = "a test's own tasks end with it")]

#[path = "rabbitmq/bench.rs"]
mod bench;
#[path = "rabbitmq/fairness.rs"]
mod fairness;
#[path = "rabbitmq/lines.rs"]
mod lines;
#[path = "rabbitmq/long.rs"]
mod long;
#[path = "rabbitmq/refusals.rs"]
mod refusals;
#[path = "rabbitmq/tls.rs"]
mod tls;
