//! A configuration with every shape that a plane may want, for the tests of the loader.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test binary takes its part of this model"
)]

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use chassis::config::{
    self, ByteSize, Colour, Config, ConfigError, Duration, Findings, Formats, Loaded, Secret, Sources,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Root {
    /// The queue's URL.
    #[schemars(extend("format" = "queue-url", "x-help" = "write sqlite:PATH or amqp://HOST"))]
    pub queue: String,
    pub prefix: Option<String>,
    pub queue_type: QueueType,
    #[schemars(extend("propertyNames" = {
        "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
        "x-help": "use letters, digits, `_` and `-`",
    }))]
    pub actors: BTreeMap<String, Actor>,
    pub gateway: Option<Gateway>,
    pub calls: Option<Calls>,
    pub signals: Option<Signals>,
    pub backends: BTreeMap<String, Backend>,
    pub log: Log,
    pub token: Secret,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueueType {
    /// Replicated.
    #[default]
    Quorum,
    /// One node.
    Classic,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// What does the work.
    pub handler: Handler,
    #[serde(default = "one")]
    pub replicas: NonZeroU32,
    #[serde(default = "five_minutes")]
    pub timeout: Duration,
    #[serde(default)]
    pub max_body: ByteSize,
    #[serde(default)]
    #[schemars(range(min = 0, max = 10))]
    pub max_deliveries: u16,
}

#[derive(Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Handler {
    Run(RunHandler),
    Socket(SocketHandler),
    Http(HttpHandler),
}

#[derive(Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunHandler {
    pub run: String,
}

#[derive(Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SocketHandler {
    pub socket: String,
    #[serde(default)]
    pub dialect: Dialect,
}

#[derive(Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpHandler {
    pub http: String,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Dialect {
    #[default]
    #[serde(rename = "plain")]
    Plain,
    #[serde(rename = "asya-2")]
    Asya2,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// The address to listen on.
    pub listen: String,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    pub listen: OneOrMany,
    pub breaker: Breaker,
}

#[derive(Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

#[derive(Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Breaker {
    Word(Off),
    On(BreakerRules),
}

#[derive(Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Off {
    Off,
}

#[derive(Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakerRules {
    pub failures: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Word(Off::Off)
    }
}

#[derive(Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Signals {
    pub port: u16,
    pub keepalive: bool,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            port: 17000,
            keepalive: true,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Backend {
    File {
        path: String,
    },
    Kafka {
        brokers: Vec<String>,
        password: Option<Secret>,
    },
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub level: Option<String>,
    #[schemars(extend("deprecated" = true))]
    pub colour: Option<bool>,
    pub ca_file: Option<String>,
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

impl Config for Root {
    fn check(&self, findings: &mut Findings) {
        for (name, actor) in &self.actors {
            findings.within(["actors", name], |findings| {
                if actor.timeout.is_zero() {
                    findings.error(
                        "timeout",
                        "a timeout of zero lets no call finish",
                        "leave it out for 5m",
                    );
                }
                if actor.replicas.get() > 8 {
                    findings.warning("replicas", "more replicas than cores", "");
                }
                if actor.max_deliveries == 9 {
                    findings.warning(config::Path::root(), "nine is an odd number of deliveries", "");
                }
            });
        }
    }

    fn formats(formats: &mut Formats) {
        formats.add("queue-url", |text| {
            let known = ["", "sqlite", "amqp"].contains(&text.split(':').next().unwrap_or_default());
            if known {
                Ok(())
            } else {
                Err(format!("`{text}` names no transport"))
            }
        });
    }
}

pub fn sources(text: &str, environment: &[(&str, &str)]) -> Sources {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Sources::new(environment).with_text("outrigger.yaml", text)
}

pub fn load(text: &str, environment: &[(&str, &str)]) -> Result<Loaded<Root>, ConfigError> {
    config::load(&sources(text, environment))
}

/// The findings, one a line, of a configuration that cannot be used.
pub fn faults(text: &str, environment: &[(&str, &str)]) -> String {
    match load(text, environment) {
        Ok(loaded) => panic!("it was accepted: {:#?}", loaded.value),
        Err(error) => {
            let lines: Vec<String> = error.findings().iter().map(ToString::to_string).collect();
            lines.join("\n") + "\n"
        }
    }
}

/// What a person would see.
pub fn rendered(text: &str, environment: &[(&str, &str)]) -> String {
    match load(text, environment) {
        Ok(loaded) => panic!("it was accepted: {:#?}", loaded.value),
        Err(error) => error.render(Colour::Off),
    }
}
