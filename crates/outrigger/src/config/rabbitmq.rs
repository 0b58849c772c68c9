//! What is particular to queues on RabbitMQ.

use std::{num::NonZeroU16, path::PathBuf};

use chassis::config::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is particular to queues on RabbitMQ; without meaning on other transports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RabbitMq {
    /// The topic exchange that messages go through. Default `outrigger`.
    pub exchange: String,
    /// Messages that the broker hands out before they are acknowledged, for each actor. Default the actor's
    /// concurrency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefetch: Option<NonZeroU16>,
    /// Whether queues are made as the configuration has them, or used as they are. Default `declare`.
    pub queues: DeclareQueues,
    /// How long the broker waits for an acknowledgement before it gives a message to another consumer. Default `30m`.
    pub consumer_timeout: Duration,
    /// How the broker's certificate is checked, and ours shown; for `amqps://`.
    pub tls: RabbitMqTls,
}

/// What becomes of queues that are there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeclareQueues {
    /// They have to be as the configuration has them.
    #[default]
    Declare,
    /// They are used as they are, with a warning where they differ.
    Use,
}

/// Certificates for `amqps://`, as PEM files; paths are relative to the configuration's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RabbitMqTls {
    /// Who may have signed the broker's certificate. Default the system's authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Our certificate, for brokers that ask for one. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// The key of our certificate. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

impl Default for RabbitMq {
    fn default() -> Self {
        Self {
            exchange: "outrigger".to_owned(),
            prefetch: None,
            queues: DeclareQueues::default(),
            consumer_timeout: Duration::from_secs(30 * 60),
            tls: RabbitMqTls::default(),
        }
    }
}
