//! What the calls plane is told: the structs are the manual.

mod access;
mod check;
mod functions;
mod listen;
mod routes;
mod share;
mod upstreams;

pub use access::{AccessLogFormat, Auth, Cors, Tls};
pub(crate) use functions::PACKAGE;
pub use functions::{Dialect, Entry, FunctionConfig, FunctionHandler, Functions, ParameterConfig, StreamInput};
pub use listen::Address;
pub use routes::Route;
pub use share::{BadShare, Share};
pub use upstreams::{
    Balance, Breaker, BreakerLimits, HostHeader, Network, Off, Retry, Timeouts, TrustedProxies, Upstream,
};

use std::{collections::BTreeMap, path::Path};

use chassis::{
    config::{ByteSize, Formats},
    listen::CertificateFiles,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The calls plane: functions that programs call over HTTP and over a Unix socket, and services behind a proxy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// Where calls are taken: `http://HOST:PORT`, `https://HOST:PORT`, `http+unix://PATH` and `ipc://PATH`; port 0 takes a
    /// free one. `ipc:` alone is `calls.sock` below `$XDG_RUNTIME_DIR/outrigger`, or `.outrigger` beside this file where
    /// there is none. Default `http://127.0.0.1:8080`.
    pub listen: Vec<Address>,
    /// The functions: a folder, or a list of folders and of functions. Default none.
    pub functions: Functions,
    /// Which pages in browsers may call functions. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// What a caller over HTTP has to show. Default nothing, which only an address of this machine alone allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// How each request and each call is told of in the log. Default `common`.
    pub access_log: AccessLogFormat,
    /// The certificate of `https://` addresses. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Whether others may call without a word, at an address that they can reach. Default false.
    pub allow_public: bool,
    /// The largest body of a call, and the largest object on a Unix socket. Default `10MiB`.
    pub body_limit: ByteSize,
    /// Which requests go to which function or upstream, beside the functions' own paths. Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// The services behind the proxy, by name. Default none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub upstreams: BTreeMap<String, Upstream>,
    /// Proxies before us, as addresses or networks: what they say in `X-Forwarded-Proto` and `X-Forwarded-Host` is kept.
    /// Default none.
    #[serde(skip_serializing_if = "TrustedProxies::is_empty")]
    pub trusted_proxies: TrustedProxies,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            listen: vec![Address::default()],
            functions: Functions::default(),
            cors: None,
            auth: None,
            access_log: AccessLogFormat::default(),
            tls: None,
            allow_public: false,
            body_limit: ByteSize::mib(10),
            routes: Vec::new(),
            upstreams: BTreeMap::new(),
            trusted_proxies: TrustedProxies::default(),
        }
    }
}

impl Calls {
    /// The files of the certificate, those that are relative taken from `folder` on.
    pub(crate) fn tls(&self, folder: &Path) -> Option<CertificateFiles> {
        let tls = self.tls.as_ref()?;
        let authority = self.auth.as_ref().and_then(|auth| auth.client_ca.as_ref());
        Some(CertificateFiles {
            cert: folder.join(&tls.cert),
            key: folder.join(&tls.key),
            client_ca: authority.map(|path| folder.join(path)),
        })
    }
}

/// Adds the string formats that the plane's schema names.
pub(crate) fn formats(formats: &mut Formats) {
    check::formats(formats);
    upstreams::formats(formats);
}
