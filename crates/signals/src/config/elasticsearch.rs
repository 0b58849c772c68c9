//! Settings of the backend `elasticsearch`.

use std::collections::BTreeMap;

use chassis::config::{Duration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BasicAuth, Compression};

/// Lines in Elasticsearch or `OpenSearch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Elasticsearch {
    /// The address of a node, `http://` or `https://`; `/_bulk` is added where it is not there.
    #[schemars(extend("format" = "http-url"))]
    pub url: String,
    /// The index or data stream of a line; `{source}`, `{type}` and `{date}` (the UTC day of receipt) stand for the
    /// line's own, in lower case. Default `signals-{date}`.
    #[serde(default = "index")]
    #[schemars(default = "index")]
    pub index: String,
    /// What a line's `_id` is: `hash` of the line, so that a line that is sent again is stored once (and two lines that
    /// are the same in every byte, too); or `auto`, one that the server makes. Default `hash`.
    #[serde(default)]
    pub id: DocumentId,
    /// The ingest pipeline. Default that of the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// A name and a password. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// An API key as Elasticsearch gives it out, encoded; sent as `Authorization: ApiKey`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Secret>,
    /// A token, sent as `Authorization: Bearer`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<Secret>,
    /// Headers of each request. Default none beside those that the request needs.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How long an answer may take. Default 30 seconds.
    #[serde(default = "thirty_seconds")]
    #[schemars(default = "thirty_seconds")]
    pub timeout: Duration,
    /// How bodies are compressed. Default `none`.
    #[serde(default)]
    pub compression: Compression,
}

/// What a line's `_id` is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentId {
    /// Made of the line.
    #[default]
    Hash,
    /// Made by the server.
    Auto,
}

fn index() -> String {
    "signals-{date}".to_owned()
}

fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}
