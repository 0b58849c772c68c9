//! Where calls are taken, as an address.

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::listen::{self, BadAddress};

/// Where calls are taken.
///
/// ```
/// use calls::config::Address;
///
/// let address: Address = "ipc:///tmp/forst.sock".parse()?;
/// assert!(address.is_local());
/// assert!(!"http://0.0.0.0:80".parse::<Address>()?.is_local());
/// # Ok::<(), calls::listen::BadAddress>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// HTTP: `http://HOST:PORT`, `https://HOST:PORT`, `http+unix://PATH`.
    Http(listen::Address),
    /// `ipc://PATH`: JSON objects on a Unix socket for this user alone; `ipc:` takes the usual place.
    Ipc(Option<PathBuf>),
}

impl Address {
    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Http(address) => !address.is_public(),
            Self::Ipc(_) => true,
        }
    }

    /// Whether it needs a certificate.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Http(listen::Address::Tcp { is_encrypted: true, .. }))
    }

    /// The socket's path of `ipc:`, taken from `folder` on; `runtime` is the folder for sockets of this user.
    pub(crate) fn ipc_path(path: Option<&Path>, folder: &Path, runtime: Option<&Path>) -> PathBuf {
        match (path, runtime) {
            (Some(path), _) => folder.join(path),
            (None, Some(runtime)) => runtime.join("outrigger/calls.sock"),
            (None, None) => folder.join(".outrigger/calls.sock"),
        }
    }
}

impl Default for Address {
    fn default() -> Self {
        Self::Http(listen::Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port: 8080,
            is_encrypted: false,
        })
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let Some(path) = text.strip_prefix("ipc:") else {
            return Ok(Self::Http(text.parse()?));
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        Ok(Self::Ipc((!path.is_empty()).then(|| path.into())))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(address) => address.fmt(f),
            Self::Ipc(Some(path)) => write!(f, "ipc://{}", path.display()),
            Self::Ipc(None) => f.write_str("ipc:"),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "CallsAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where calls are taken.",
            "type": "string",
            "format": "calls-address",
            "x-help": "write it as in `http://127.0.0.1:8080`, `http+unix:///run/app.sock` or `ipc:///tmp/forst.sock`",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_the_way_and_the_place() {
        for (text, shown, is_local) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", true),
            ("https://0.0.0.0", "https://0.0.0.0:443", false),
            ("http+unix:///run/a.sock", "http+unix:///run/a.sock", true),
            ("ipc:///tmp/forst.sock", "ipc:///tmp/forst.sock", true),
            ("ipc://", "ipc:", true),
            ("ipc:", "ipc:", true),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!((address.to_string().as_str(), address.is_local()), (shown, is_local));
        }
    }

    #[test]
    fn the_usual_place_of_ipc_is_the_users_own() {
        let place = |path, runtime| Address::ipc_path(path, Path::new("/app"), runtime);
        let (run, named) = (Path::new("/run/user/1"), Path::new("x.sock"));
        assert_eq!(place(None, Some(run)), Path::new("/run/user/1/outrigger/calls.sock"));
        assert_eq!(place(None, None), Path::new("/app/.outrigger/calls.sock"));
        assert_eq!(place(Some(named), Some(run)), Path::new("/app/x.sock"));
    }
}
