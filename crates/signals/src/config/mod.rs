//! What the telemetry plane is told: the structs are the manual.

mod backend;
mod check;
mod credentials;
mod elasticsearch;
mod file;
mod http;
mod internal;
mod listen;
mod loki;
mod otlp;
mod prometheus;
mod routing;
mod seed;
mod senders;
mod stores;
mod syslog;

pub use backend::{Backend, Compression, Kind, Settings, Stdout, Storage, WhenFull};
pub(crate) use check::formats;
pub use credentials::BasicAuth;
pub use elasticsearch::{DocumentId, Elasticsearch};
pub use file::{File, Fsync};
pub use http::{Encoding, Http};
pub use internal::Internal;
pub use listen::{Auth, Tcp, Tls, Unix};
pub use loki::{LabelFrom, Loki};
pub use otlp::{Otlp, OtlpProtocol};
pub use prometheus::{Prometheus, RemoteWrite};
pub use routing::{Case, Filter, Level, Rule};
pub use seed::{Performance, SeedHealth, Sidecar};
pub(crate) use senders::zone;
pub use senders::{OtlpListener, SyslogListener};
pub use stores::{Postgres, S3, Sqlite};
pub(crate) use syslog::Destination;
pub use syslog::{Facility, Syslog, SyslogFormat};

use std::{collections::BTreeMap, num::NonZeroUsize};

use chassis::config::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The telemetry plane: where programs send their signal lines, and which backends get them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Signals {
    /// Where lines are taken over TCP. Default `127.0.0.1:17000` where `unix` is not given, else none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Tcp>,
    /// Where lines are taken on a Unix socket. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unix: Option<Unix>,
    /// Where syslog is taken. Default nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syslog: Option<SyslogListener>,
    /// Where OTLP over HTTP is taken. Default nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<OtlpListener>,
    /// Outrigger itself as a source: `{}` for a span of each hop, progress and metrics. Default not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal: Option<Internal>,
    /// How much waits for a backend, and for how long.
    pub buffers: Buffers,
    /// What the plane may hold in memory, in MiB: buffers, unfinished lines, traces. At least 16, default 128.
    #[schemars(range(min = 16))]
    pub max_memory_mb: u32,
    /// What becomes of the lines of each source. A key is a source's name, a pattern with `*`, or `default`; the most
    /// specific one alone decides, and all its rules that match fire. Default: all lines to all backends.
    pub routing: BTreeMap<String, Vec<Rule>>,
    /// Where lines go, by name. Default none.
    pub backends: BTreeMap<String, Backend>,
    /// Lines, and the backends that each of them has to reach; `outrigger check` tries them. Default none.
    pub tests: Vec<Case>,
}

/// How much waits for a backend, and for how long. A backend may have its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Buffers {
    /// Lines that wait for a backend, at most. Default 10000.
    pub max_queue_size: NonZeroUsize,
    /// Lines of one source that wait for a backend, at most; a source above it is held back. Default 1000.
    pub per_source_buffer: NonZeroUsize,
    /// How long a line waits for others to go with it, in seconds or with a unit; 0 for not at all. Default `5s`.
    pub flush_interval: Duration,
    /// So many lines do not wait any longer. Default 100.
    pub flush_batch_size: NonZeroUsize,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            tcp: None,
            unix: None,
            syslog: None,
            otlp: None,
            internal: None,
            buffers: Buffers::default(),
            max_memory_mb: 128,
            routing: BTreeMap::new(),
            backends: BTreeMap::new(),
            tests: Vec::new(),
        }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            max_queue_size: NonZeroUsize::new(10_000).expect("not 0"),
            per_source_buffer: NonZeroUsize::new(1000).expect("not 0"),
            flush_interval: Duration::from_secs(5),
            flush_batch_size: NonZeroUsize::new(100).expect("not 0"),
        }
    }
}

impl Signals {
    /// The listeners alone, and the rest alone; for those who keep them in two places.
    pub fn halves(&self) -> (Self, Self) {
        let listeners = Self {
            tcp: self.tcp.clone(),
            unix: self.unix.clone(),
            syslog: self.syslog.clone(),
            otlp: self.otlp.clone(),
            ..Self::default()
        };
        let rest = Self {
            tcp: None,
            unix: None,
            syslog: None,
            otlp: None,
            ..self.clone()
        };
        (listeners, rest)
    }

    /// Where lines are taken over TCP, the default considered.
    pub fn tcp(&self) -> Option<Tcp> {
        match (&self.tcp, &self.unix) {
            (None, None) => Some(Tcp::default()),
            (tcp, _) => tcp.clone(),
        }
    }
}
