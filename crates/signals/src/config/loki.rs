//! Settings of the backend `loki`.

use std::collections::BTreeMap;

use chassis::config::{Duration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BasicAuth, Compression};

/// Lines in Grafana Loki.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Loki {
    /// The address of Loki, `http://` or `https://`; `/loki/api/v1/push` is added where it is not there.
    #[schemars(extend("format" = "http-url"))]
    pub url: String,
    /// Labels of every stream. Default none.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What of a line becomes a label of its stream: `source`, `type`, `level`. Each of their values makes streams of its
    /// own. Default `[source, type, level]`.
    #[serde(default = "all")]
    #[schemars(default = "all")]
    pub labels_from: Vec<LabelFrom>,
    /// The tenant, sent as `X-Scope-OrgID`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
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
    /// How bodies are compressed. Default `none`.
    #[serde(default)]
    pub compression: Compression,
}

/// What of a line becomes a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LabelFrom {
    /// `src`.
    Source,
    /// `type`.
    Type,
    /// `data.level`, where there is one.
    Level,
}

fn all() -> Vec<LabelFrom> {
    vec![LabelFrom::Source, LabelFrom::Type, LabelFrom::Level]
}
