//! The root of the configuration: the struct is the manual.

use std::collections::BTreeMap;

use calls::Calls;
use chassis::telemetry::logs;
use messages::{ActorConfig, Ends};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signals::{
    Signals,
    config::{Backend, Rule, Sidecar},
};

use super::RabbitMq;

/// What Outrigger runs on this machine: a queue, the actors that work on it, and where it can be watched.
///
/// `outrigger up` and `outrigger run` read the same file; `run` starts no handler process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "outrigger.yaml")]
pub struct Root {
    /// Where messages wait, as a URL. `sqlite:PATH` is the durable queue in a file, its path relative to this file's
    /// folder; `amqp://USER:PASSWORD@HOST:PORT/VHOST` is RabbitMQ, `amqps://` the same over TLS; `memory:` ends with the
    /// process. Default `sqlite:.outrigger/queue.db`.
    #[schemars(extend("format" = "queue-url", "x-help" = "write `sqlite:PATH` or `amqp://HOST`, or leave it out for `sqlite:.outrigger/queue.db`"))]
    pub queue: String,
    /// Put before the name of every queue, so that several installations can share a broker. Default none.
    #[schemars(extend("pattern" = "^[A-Za-z0-9._:-]{0,64}$", "x-help" = "use letters, digits, `.`, `_`, `:` and `-`, at most 64"))]
    pub prefix: String,
    /// The kind of queue that is made on RabbitMQ; other transports have one kind. Default `quorum`.
    pub queue_type: QueueType,
    /// What is done for a handler that works for longer than the broker waits for an acknowledgement: `warn` says so in
    /// time, `park` leaves the message with the broker in another way meanwhile. Only RabbitMQ waits so. Default `warn`.
    pub long_jobs: LongJobs,
    /// What is particular to queues on RabbitMQ.
    pub rabbitmq: RabbitMq,
    /// The queues where routes end, and how long they keep what nobody takes.
    pub ends: Ends,
    /// The actors by name: letters, digits, `_` and `-`, at most 63, a letter or digit first. An actor with the name
    /// of an end works on what ends there. Default none.
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", "x-help": "use letters, digits, `_` and `-`, at most 63, a letter or digit first" }))]
    pub actors: BTreeMap<String, ActorConfig>,
    /// The functions that programs call, and where they call them. Default: none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<Calls>,
    /// Where programs send their signal lines, and which backends get them. Default: nothing is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signals: Option<Signals>,
    /// An older spelling of `signals`, beside `routing` and `backends`. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<Sidecar>,
    /// An older spelling of `signals.routing`. Default none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub routing: BTreeMap<String, Vec<Rule>>,
    /// An older spelling of `signals.backends`. Default none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub backends: BTreeMap<String, Backend>,
    /// Where the process can be watched.
    pub admin: Admin,
    /// What the process says on stderr.
    pub log: Log,
}

impl Default for Root {
    fn default() -> Self {
        Self {
            queue: "sqlite:.outrigger/queue.db".to_owned(),
            prefix: String::new(),
            queue_type: QueueType::default(),
            long_jobs: LongJobs::default(),
            rabbitmq: RabbitMq::default(),
            ends: Ends::default(),
            actors: BTreeMap::new(),
            calls: None,
            signals: None,
            sidecar: None,
            routing: BTreeMap::new(),
            backends: BTreeMap::new(),
            admin: Admin::default(),
            log: Log::default(),
        }
    }
}

impl Root {
    /// The full name of an actor's or an end's queue.
    pub fn queue_of(&self, actor: &str) -> String {
        match self.actors.get(actor).and_then(|config| config.queue.as_ref()) {
            Some(queue) => queue.clone(),
            None => format!("{}{actor}", self.prefix),
        }
    }

    /// Whether an actor is one of the ends, where results and failures stay.
    pub fn is_end(&self, actor: &str) -> bool {
        actor == self.ends.happy_name() || actor == self.ends.error_name()
    }

    /// The telemetry plane, however it is spelt; `None` where nothing is said of it.
    pub fn signals(&self) -> Option<Signals> {
        if self.signals.is_some() || !self.has_older_signals() {
            return self.signals.clone();
        }
        Some(Signals {
            routing: self.routing.clone(),
            backends: self.backends.clone(),
            ..self.sidecar.clone().unwrap_or_default().signals()
        })
    }

    /// Whether the telemetry plane is spelt as it used to be.
    pub fn has_older_signals(&self) -> bool {
        self.sidecar.is_some() || !self.routing.is_empty() || !self.backends.is_empty()
    }

    /// The address that the process can be watched on, and whether it was chosen.
    pub fn admin_address(&self) -> (String, bool) {
        let port = self.sidecar.as_ref().and_then(|sidecar| sidecar.health.metrics_port);
        match (&self.admin.listen, port) {
            (Some(listen), _) => (listen.clone(), true),
            (None, Some(port)) => (format!("127.0.0.1:{port}"), true),
            (None, None) => (self.admin.address().to_owned(), false),
        }
    }

    /// The full name of the queue where failed messages end.
    pub fn error_end(&self) -> String {
        self.queue_of(self.ends.error_name())
    }

    /// Whether the configuration itself declares an actor's queue: as an actor or as an end.
    pub fn declares(&self, actor: &str) -> bool {
        self.actors.contains_key(actor) || self.is_end(actor)
    }
}

/// The kind of queue on RabbitMQ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueueType {
    /// Replicated, and counts deliveries.
    #[default]
    Quorum,
    /// On one node.
    Classic,
}

/// What is done for a handler that works for longer than the broker waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LongJobs {
    /// Says so in time, with the cure.
    #[default]
    Warn,
    /// Parks the delivery on the broker while the handler works.
    Park,
}

/// Where the process can be watched: `/healthz`, `/readyz`, `/health`, `/metrics`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// The address, `host:port`; port 0 takes a free one. Default `127.0.0.1:17001`, or a free port where that is
    /// taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "listen-address"))]
    pub listen: Option<String>,
}

impl Admin {
    /// The address to listen on.
    pub fn address(&self) -> &str {
        self.listen.as_deref().unwrap_or("127.0.0.1:17001")
    }
}

/// What the process says on stderr.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The least important lines to show: `error`, `warn`, `info`, `debug`, `trace`, `off`, or a list by part such as
    /// `info,queues=debug`. Default `info`.
    #[schemars(extend("format" = "log-level"))]
    pub level: String,
    /// How lines look: `auto` is text on a terminal and JSON otherwise. Default `auto`.
    pub format: logs::Format,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: logs::Format::Auto,
        }
    }
}
