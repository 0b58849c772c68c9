//! The message plane's part of `outrigger.yaml`.

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
};

use chassis::config::{ByteSize, Duration};
use queues::Retention;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::{Input, ReplyStyle, asya::Generation};

/// One actor: a queue, and the handler that works on its messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActorConfig {
    /// Where the handler is: a command that `up` starts, or the socket or the HTTP address of a process that somebody
    /// else runs.
    pub handler: HandlerConfig,
    /// The full name of the actor's queue, where it is not the prefix and the actor's name. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = "^[A-Za-z0-9._:-]{1,255}$", "x-help" = "use letters, digits, `.`, `_`, `:` and `-`, at most 255"))]
    pub queue: Option<String>,
    /// What the handler gets: the payload, or the whole envelope; a runtime of Asya always gets the whole message.
    /// Default `payload`.
    #[serde(default)]
    pub input: Input,
    /// How the replies of a plain handler are read. `auto` tells frames with a `status` from bare results; `bare`
    /// takes everything as the result; `framed` wants a `status`; `envelope` takes `{payload, route?, headers?}`.
    /// Default `auto`.
    #[serde(default)]
    pub reply: ReplyStyle,
    /// Handler processes that `up` starts. Default 1.
    #[serde(default = "one")]
    pub replicas: NonZeroUsize,
    /// Messages worked on at once, over all processes; at least `replicas`. Default 1.
    #[serde(default = "one")]
    pub concurrency: NonZeroUsize,
    /// How long one call of the handler may take, from the write of the request. Default `5m`; 0 is without limit.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// How long the handler may be silent; progress and heartbeats start it anew. Off by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// Whether and how a handler's errors are tried again. Without it only those that the handler marks
    /// `retryable`, up to 5 attempts, 1 s to 60 s apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How often the handler is called for a message whose deliveries begin and do not finish (it kills its
    /// handler, or the machine goes). Default 5; 0 is without limit.
    #[serde(default = "default_max_deliveries")]
    pub max_deliveries: u32,
    /// The largest frame to and from the handler. Default `256MiB`.
    #[serde(default = "default_max_frame")]
    pub max_frame: ByteSize,
}

/// Where a handler is; exactly one of `run`, `socket`, `http` and `function`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HandlerConfig {
    /// A command that `up` starts in the config file's folder: words as a shell splits them, with no shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The Unix socket on which a process that somebody else runs waits for us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// The HTTP server that somebody else runs, asked with `POST {address}/invoke`: `http://host:port/base`, or
    /// `http+unix:///path.sock` (with a base path: `http+unix:///path.sock:/base`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "handler-address", "x-help" = "write it as in `http://127.0.0.1:8000` or `http+unix:///run/app.sock`"))]
    pub http: Option<String>,
    /// A function of `calls`, as `NAME` or `PACKAGE/NAME`: the payload is its one argument.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// What is spoken on the socket of `run` and `socket`. Default `socket`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// Variables that a `run` process gets besides the environment that it inherits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// What is spoken on a handler's socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Dialect {
    /// Protocol 1 where the handler says hello, else plain frames.
    #[default]
    #[serde(rename = "socket")]
    Socket,
    /// Plain frames; no hello is waited for.
    #[serde(rename = "plain")]
    Plain,
    /// A runtime of Asya that knows `job_id` and `steps`.
    #[serde(rename = "asya-1")]
    Asya1,
    /// A runtime of Asya that knows `id` and `actors`.
    #[serde(rename = "asya-2")]
    Asya2,
    /// A runtime of Asya that is asked over HTTP.
    #[serde(rename = "asya-3")]
    Asya3,
}

impl HandlerConfig {
    /// Whether its process, if it has one, is somebody else's.
    pub fn is_foreign(&self) -> bool {
        self.socket.is_some() || self.http.is_some() || self.function.is_some()
    }

    /// What is spoken on its socket.
    pub fn dialect(&self) -> Dialect {
        self.dialect.unwrap_or_default()
    }
}

impl Dialect {
    /// The generation of Asya's runtimes that speaks it.
    pub fn generation(self) -> Option<Generation> {
        match self {
            Self::Socket | Self::Plain => None,
            Self::Asya1 => Some(Generation::One),
            Self::Asya2 => Some(Generation::Two),
            Self::Asya3 => Some(Generation::Three),
        }
    }
}

impl ActorConfig {
    /// What the handler is given: a runtime of Asya always gets the whole message.
    pub fn given(&self) -> Input {
        match self.handler.dialect().generation() {
            Some(_) => Input::Envelope,
            None => self.input,
        }
    }
}

/// How a handler's errors are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Calls in all, the first one too. Default 5.
    pub attempts: NonZeroU32,
    /// The wait before the second attempt; doubled for each later one. Default `1s`.
    pub backoff: Duration,
    /// The longest wait. Default `60s`.
    pub max_backoff: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: NonZeroU32::new(5).expect("five is not zero"),
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
        }
    }
}

/// The queues where routes end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ends {
    /// Where results go.
    pub happy: EndConfig,
    /// Where failed messages go.
    pub error: EndConfig,
}

/// One end of all routes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndConfig {
    /// The queue's name, without the prefix. Default `happy-end` and `error-end`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long a message is kept where nobody takes it. Default `7d` and `30d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Duration>,
    /// How many messages are kept where nobody takes them. Default 100000 at the happy end, all at the error end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Keep nothing: what arrives is finished.
    #[serde(default)]
    pub discard: bool,
}

impl Ends {
    /// The name of the happy end, without the prefix.
    pub fn happy_name(&self) -> &str {
        self.happy.name.as_deref().unwrap_or("happy-end")
    }

    /// The name of the error end, without the prefix.
    pub fn error_name(&self) -> &str {
        self.error.name.as_deref().unwrap_or("error-end")
    }

    /// How long and how many messages the happy end keeps where nobody takes them.
    pub fn happy_retention(&self) -> Retention {
        retention(&self.happy, 7 * DAY, Some(100_000))
    }

    /// How long and how many messages the error end keeps where nobody takes them.
    pub fn error_retention(&self) -> Retention {
        retention(&self.error, 30 * DAY, None)
    }
}

const DAY: std::time::Duration = std::time::Duration::from_hours(24);

fn retention(end: &EndConfig, keep: std::time::Duration, max: Option<u64>) -> Retention {
    Retention {
        keep: Some(end.keep.map_or(keep, Into::into)),
        max: end.max.or(max),
    }
}

fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

fn default_timeout() -> Duration {
    Duration::from_secs(5 * 60)
}

fn default_max_deliveries() -> u32 {
    5
}

fn default_max_frame() -> ByteSize {
    ByteSize::mib(256)
}
