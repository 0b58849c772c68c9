//! Where calls are taken, as an address.

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::listen;

/// Where calls are taken.
///
/// ```
/// use calls::config::Address;
///
/// let address: Address = "ipc:///tmp/forst.sock".parse()?;
/// assert!(address.is_local());
/// assert!(!"http://0.0.0.0:80".parse::<Address>()?.is_local());
/// # Ok::<(), calls::config::BadAddress>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `http://HOST:PORT`.
    Http {
        /// A name or an address, without brackets.
        host: String,
        /// 0 takes a free one.
        port: u16,
    },
    /// `https://HOST:PORT`.
    Https {
        /// A name or an address, without brackets.
        host: String,
        /// 0 takes a free one.
        port: u16,
    },
    /// `http+unix://PATH`: HTTP on a Unix socket for this user alone.
    HttpUnix(PathBuf),
    /// `ipc://PATH`: JSON objects on a Unix socket for this user alone; `ipc:` takes the usual place.
    Ipc(Option<PathBuf>),
}

/// A text that is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BadAddress {
    why: &'static str,
}

impl Address {
    /// Where HTTP is listened for; `None` where it is not spoken. Relative sockets are taken from `folder` on.
    pub(crate) fn http(&self, folder: &Path) -> Option<listen::Address> {
        let tcp = |host: &str, port, is_encrypted| listen::Address::Tcp {
            host: host.to_owned(),
            port,
            is_encrypted,
        };
        match self {
            Self::Http { host, port } => Some(tcp(host, *port, false)),
            Self::Https { host, port } => Some(tcp(host, *port, true)),
            Self::HttpUnix(path) => Some(listen::Address::Unix(folder.join(path))),
            Self::Ipc(_) => None,
        }
    }

    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        self.http(Path::new("")).is_none_or(|address| !address.is_public())
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
        Self::Http {
            host: "127.0.0.1".to_owned(),
            port: 8080,
        }
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = |why| Err(BadAddress { why });
        if let Some(path) = text.strip_prefix("http+unix://") {
            return match path {
                "" => bad("it names no socket, as in `http+unix:///run/app.sock`"),
                path => Ok(Self::HttpUnix(path.into())),
            };
        }
        if let Some(path) = text.strip_prefix("ipc:") {
            return match path.strip_prefix("//").unwrap_or(path) {
                "" => Ok(Self::Ipc(None)),
                path => Ok(Self::Ipc(Some(path.into()))),
            };
        }
        let (rest, is_encrypted) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (rest, false),
            (_, Some(rest)) => (rest, true),
            _ => return bad("it has to begin with `http://`, `https://`, `http+unix://` or `ipc://`"),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@']) {
            return bad("only a host and a port follow, as in `http://127.0.0.1:8080`");
        }
        let usual = if is_encrypted { "443" } else { "80" };
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, usual),
            Some((host, port)) => (host, port.strip_prefix(':').unwrap_or_default()),
            None => rest.rsplit_once(':').unwrap_or((rest, usual)),
        };
        let Ok(port) = port.parse() else {
            return bad("its port is none: 0 to 65535, as in `http://127.0.0.1:8080`");
        };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
        if host.is_empty() || !host.bytes().all(fits) {
            return bad("it names no host, as in `http://127.0.0.1:8080`");
        }
        let host = host.to_owned();
        Ok(if is_encrypted {
            Self::Https { host, port }
        } else {
            Self::Http { host, port }
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = |scheme: &str, host: &str, port: u16, f: &mut fmt::Formatter<'_>| {
            if host.contains(':') {
                write!(f, "{scheme}://[{host}]:{port}")
            } else {
                write!(f, "{scheme}://{host}:{port}")
            }
        };
        match self {
            Self::Http { host, port } => authority("http", host, *port, f),
            Self::Https { host, port } => authority("https", host, *port, f),
            Self::HttpUnix(path) => write!(f, "http+unix://{}", path.display()),
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
            ("http://localhost:0/", "http://localhost:0", true),
            ("http://[::1]:1", "http://[::1]:1", true),
            ("http://0.0.0.0", "http://0.0.0.0:80", false),
            ("https://example.org", "https://example.org:443", false),
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
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "8080",
            "ftp://h:1",
            "http://",
            "http://:80",
            "http://h:x",
            "http://h:70000",
            "http://u@h:1",
            "http://h:1/x",
            "http+unix://",
            "http://[::1:1",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
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
