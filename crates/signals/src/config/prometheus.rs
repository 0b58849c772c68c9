//! Settings of the backend `prometheus`.

use std::{collections::BTreeMap, num::NonZeroUsize};

use chassis::config::{Duration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::BasicAuth;

/// Metric lines as series of Prometheus, on the admin address at `/metrics/NAME`, where NAME is the backend's name.
/// Lines of other types are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prometheus {
    /// Metrics whose values are added up, by name; `*` stands for any characters. Others are gauges with the last value,
    /// except where `kind` in a line's data or tags is `counter`. Default none.
    pub counters: Vec<String>,
    /// Series at most (and 8 MiB of them at most); lines that would make more are dropped and counted. Default 10000.
    pub max_series: NonZeroUsize,
    /// A series that no line has touched for so long is forgotten; 0 for never. Default `5m`.
    pub expire_after: Duration,
    /// Where the series are sent besides. Default nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_write: Option<RemoteWrite>,
}

/// A server that takes series by Prometheus remote write 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteWrite {
    /// The whole address, `http://` or `https://`, as `http://prometheus:9090/api/v1/write`.
    #[schemars(extend("format" = "http-url"))]
    pub url: String,
    /// Between two writes. Default `15s`.
    #[serde(default = "fifteen_seconds")]
    #[schemars(default = "fifteen_seconds")]
    pub interval: Duration,
    /// A name and a password. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// A token, sent as `Authorization: Bearer`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<Secret>,
    /// Headers of each request. Default none beside those that the request needs.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How long an answer may take. Default 10 seconds.
    #[serde(default = "super::http::ten_seconds")]
    #[schemars(default = "super::http::ten_seconds")]
    pub timeout: Duration,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self {
            counters: Vec::new(),
            max_series: NonZeroUsize::new(10_000).expect("not 0"),
            expire_after: Duration::from_secs(300),
            remote_write: None,
        }
    }
}

fn fifteen_seconds() -> Duration {
    Duration::from_secs(15)
}
