//! Settings of the backend `http`.

use std::collections::BTreeMap;

use chassis::config::{Duration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Compression;

/// Lines in requests to a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The address, `http://` or `https://`.
    #[schemars(extend("format" = "http-url"))]
    pub url: String,
    /// The method. Default `POST`.
    #[serde(default = "post")]
    #[schemars(default = "post")]
    pub method: String,
    /// Headers of each request. Default none beside those that the request needs.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How long an answer may take. Default 10 seconds.
    #[serde(default = "ten_seconds")]
    #[schemars(default = "ten_seconds")]
    pub timeout: Duration,
    /// How lines stand in a body: one below the other, or as a JSON array. Default `ndjson`.
    #[serde(default)]
    pub encoding: Encoding,
    /// How bodies are compressed. Default `none`.
    #[serde(default)]
    pub compression: Compression,
}

/// How lines stand in a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// One below the other.
    #[default]
    Ndjson,
    /// As a JSON array.
    Json,
}

fn post() -> String {
    "POST".to_owned()
}

pub(super) fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}
