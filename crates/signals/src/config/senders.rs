//! Where messages of other protocols come in: syslog, and OpenTelemetry's OTLP over HTTP.

use std::num::NonZeroUsize;

use chassis::config::{ByteSize, Duration, Secret};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Listeners for syslog. Each message becomes an `event` line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SyslogListener {
    /// The address to take connections on, `HOST:PORT`; port 0 takes a free one. Messages in octet counting and lines
    /// are told apart one by one. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "listen-address"))]
    pub tcp: Option<String>,
    /// The address to take datagrams on, `HOST:PORT`; port 0 takes a free one. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "listen-address"))]
    pub udp: Option<String>,
    /// Whether an address that others can reach is allowed: syslog has no secret, so whoever reaches it may write.
    /// Default false.
    pub allow_public: bool,
    /// Connections at once; one more is closed at once. Default 1000.
    pub max_connections: NonZeroUsize,
    /// How long a connection may say nothing, in seconds or with a unit; 0 for ever. Default 0, as most senders keep a
    /// connection for years and lose the first message after it was closed.
    pub read_timeout: Duration,
    /// The time zone of messages whose timestamp has none: `local` (this machine's), `UTC`, or a name such as
    /// `Europe/Berlin`. Default `local`.
    #[schemars(extend("format" = "time-zone"))]
    pub time_zone: String,
}

/// A listener for OTLP over HTTP: `POST /v1/logs`, `/v1/metrics` and `/v1/traces`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpListener {
    /// The address to listen on, `HOST:PORT`; port 0 takes a free one. One that others can reach needs `token` or
    /// `allow_public`. Default `127.0.0.1:4318`.
    #[schemars(extend("format" = "listen-address"))]
    pub listen: String,
    /// What senders have to send as `Authorization: Bearer ..`. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// Whether an address that others can reach is allowed without `token`. Default false.
    pub allow_public: bool,
    /// Connections at once; one more is closed at once. Default 1000.
    pub max_connections: NonZeroUsize,
    /// The largest body, as it is sent. Default 4MiB.
    pub max_body: ByteSize,
    /// The largest body, once it is decompressed. Default 16MiB.
    pub max_inflated: ByteSize,
}

impl Default for SyslogListener {
    fn default() -> Self {
        Self {
            tcp: None,
            udp: None,
            allow_public: false,
            max_connections: many(),
            read_timeout: Duration::from_secs(0),
            time_zone: "local".to_owned(),
        }
    }
}

impl Default for OtlpListener {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:4318".to_owned(),
            token: None,
            allow_public: false,
            max_connections: many(),
            max_body: ByteSize::mib(4),
            max_inflated: ByteSize::mib(16),
        }
    }
}

fn many() -> NonZeroUsize {
    NonZeroUsize::new(1000).expect("not 0")
}

/// The time zone of this name.
///
/// # Errors
/// Nobody here knows it.
pub(crate) fn zone(name: &str) -> Result<TimeZone, String> {
    match name {
        "local" => Ok(TimeZone::system()),
        "UTC" => Ok(TimeZone::UTC),
        name => TimeZone::get(name).map_err(|_| {
            "it is no time zone of this machine: write `local`, `UTC` or a name such as `Europe/Berlin`".to_owned()
        }),
    }
}
