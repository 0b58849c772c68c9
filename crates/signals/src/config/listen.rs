//! Where lines come in.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use chassis::{
    config::{Duration, Secret},
    listen::CertificateFiles,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A TCP listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tcp {
    /// The address to listen on. One that others can reach needs `auth`. Default `127.0.0.1`.
    pub host: String,
    /// The port; 0 takes a free one. Default 17000.
    pub port: u16,
    /// Connections at once; one more is closed at once. Default 1000.
    pub max_connections: NonZeroUsize,
    /// How long a connection may be without a whole line, in seconds or with a unit; 0 for ever. Default 5 minutes.
    pub read_timeout: Duration,
    /// Whether the system looks after idle connections, so that those whose other end has gone are noticed. Default true.
    pub keepalive: bool,
    /// Encryption. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Who may send. Default everybody, which only an address of this machine alone allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
}

/// Encryption of a listener; the files are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Whether it is on. Default true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Our certificate and those above it, a PEM file; relative to the configuration's folder.
    pub cert: PathBuf,
    /// Its key, a PEM file.
    pub key: PathBuf,
}

impl Tls {
    /// The files, those that are relative taken from `folder` on.
    pub(crate) fn files(&self, folder: &Path) -> CertificateFiles {
        CertificateFiles {
            cert: folder.join(&self.cert),
            key: folder.join(&self.key),
            client_ca: None,
        }
    }
}

/// What a sender has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, tag = "type", rename_all = "snake_case")]
pub enum Auth {
    /// The first line of a connection is a `hello` with this secret.
    SharedSecret {
        /// What both sides know; not empty.
        secret: Secret,
    },
}

/// A listener on a Unix socket, for this user alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unix {
    /// The socket; relative to the configuration's folder.
    pub path: PathBuf,
    /// Connections at once; one more is closed at once. Default 1000.
    #[serde(default = "many")]
    pub max_connections: NonZeroUsize,
    /// How long a connection may be without a whole line, in seconds or with a unit; 0 for ever. Default 5 minutes.
    #[serde(default = "minutes")]
    pub read_timeout: Duration,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 17000,
            max_connections: many(),
            read_timeout: minutes(),
            keepalive: true,
            tls: None,
            auth: None,
        }
    }
}

impl Tcp {
    /// What a sender has to know.
    pub fn secret(&self) -> Option<&Secret> {
        self.auth.as_ref().map(|Auth::SharedSecret { secret }| secret)
    }

    /// The files of its certificate, where it is encrypted.
    pub fn encryption(&self) -> Option<&Tls> {
        self.tls.as_ref().filter(|tls| tls.enabled)
    }
}

fn yes() -> bool {
    true
}

fn many() -> NonZeroUsize {
    NonZeroUsize::new(1000).expect("not 0")
}

fn minutes() -> Duration {
    Duration::from_secs(5 * 60)
}
