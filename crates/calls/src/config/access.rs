//! Who may call.

use std::path::PathBuf;

use chassis::config::{Duration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a caller over HTTP has to show; with both a token and a certificate, either is enough.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The token of `Authorization: Bearer TOKEN`. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// A file with the token, without the line break at its end; relative to the configuration's folder. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// The authority of the certificates that callers of `https://` addresses show, a PEM file; relative to the
    /// configuration's folder. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}

/// Which pages in browsers may call functions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// The origins, as in `https://app.example.org`; `*` is every one.
    pub origins: Vec<String>,
    /// Whether browsers send cookies and other credentials along. Not with the origin `*`. Default false.
    #[serde(default)]
    pub credentials: bool,
    /// How long browsers remember the answer, in seconds or with a unit. Default `10m`.
    #[serde(default = "ten_minutes")]
    pub max_age: Duration,
}

/// How each request and each call is told of in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessLogFormat {
    /// The common log format.
    #[default]
    Common,
    /// The same, then where the client came from and what it is: `Referer` and `User-Agent`.
    Combined,
    /// An object, with the seconds that it took.
    Json,
    /// Not at all.
    Off,
}

/// The certificate of `https://` addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Our certificate and those above it, a PEM file; relative to the configuration's folder.
    pub cert: PathBuf,
    /// Its key, a PEM file.
    pub key: PathBuf,
}

impl Auth {
    /// Whether there is a token to show.
    pub fn has_token(&self) -> bool {
        self.token.is_some() || self.token_file.is_some()
    }
}

fn ten_minutes() -> Duration {
    Duration::from_secs(10 * 60)
}
