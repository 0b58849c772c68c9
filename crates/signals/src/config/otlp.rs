//! Settings of the backend `otlp`.

use std::{collections::BTreeMap, num::NonZeroUsize};

use chassis::config::{Duration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BasicAuth, Compression};

/// Lines as logs, metrics and traces of OpenTelemetry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// The address of the collector, `http://` or `https://`, as `http://localhost:4318` for `http` and
    /// `http://localhost:4317` for `grpc`; the path of each signal is added.
    #[schemars(extend("format" = "http-url"))]
    pub url: String,
    /// What the collector speaks there: `http` (with protobuf) or `grpc`. Default `http`.
    #[serde(default)]
    pub protocol: OtlpProtocol,
    /// Attributes of every resource, beside `service.name`, which is the line's source. Default none.
    #[serde(default)]
    pub resource: BTreeMap<String, String>,
    /// Spans whose end has not come, at most (and 4 MiB of them at most); beyond that the oldest is forgotten, and its
    /// end line goes with what it says alone. Default 10000.
    #[serde(default = "open_spans")]
    #[schemars(default = "open_spans")]
    pub max_open_spans: NonZeroUsize,
    /// A name and a password. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// A token, sent as `Authorization: Bearer`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<Secret>,
    /// Headers of each request; with `grpc`, its metadata. Default none beside those that the request needs.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How long an answer may take. Default 10 seconds.
    #[serde(default = "super::http::ten_seconds")]
    #[schemars(default = "super::http::ten_seconds")]
    pub timeout: Duration,
    /// How messages are compressed. Default `none`.
    #[serde(default)]
    pub compression: Compression,
}

/// How OTLP is carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OtlpProtocol {
    /// Protobuf in requests of HTTP/1.1.
    #[default]
    Http,
    /// gRPC.
    Grpc,
}

fn open_spans() -> NonZeroUsize {
    NonZeroUsize::new(10_000).expect("not 0")
}
