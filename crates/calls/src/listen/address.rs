//! Where we listen: `http://HOST:PORT`, `https://HOST:PORT`, `http+unix://PATH`. Pure.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

/// Where we listen.
///
/// ```
/// use calls::listen::Address;
///
/// let address: Address = "http://[::1]:8080".parse()?;
/// assert!(!address.is_public());
/// assert!("http://0.0.0.0:8080".parse::<Address>()?.is_public());
/// # Ok::<(), calls::listen::BadAddress>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// 0 takes a free one.
        port: u16,
        /// Whether connections are encrypted.
        is_encrypted: bool,
    },
    /// A Unix socket, for this user alone.
    Unix(PathBuf),
}

/// A text that is no address to listen on: what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAddress(&'static str);

impl Address {
    /// Whether others than this machine could reach it.
    pub fn is_public(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => {
                !(host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback()))
            }
            Self::Unix(_) => false,
        }
    }

    /// The same address, with the path of a socket taken from `folder` on.
    pub(crate) fn within(&self, folder: &std::path::Path) -> Self {
        match self {
            Self::Unix(path) => Self::Unix(folder.join(path)),
            Self::Tcp { .. } => self.clone(),
        }
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Some(path) = text.strip_prefix("http+unix://") {
            if path.is_empty() || path.ends_with('/') || path.contains('\0') {
                return Err(BadAddress("it names no socket, as in `http+unix:///run/calls.sock`"));
            }
            return Ok(Self::Unix(path.into()));
        }
        let (rest, is_encrypted) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (rest, false),
            (_, Some(rest)) => (rest, true),
            _ => {
                return Err(BadAddress(
                    "it begins neither with `http://`, `https://` nor `http+unix://`, nor with `ipc:`",
                ));
            }
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let usual = if is_encrypted { "443" } else { "80" };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (rest, usual),
        };
        let bare = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').filter(|inner| inner.parse::<IpAddr>().is_ok()),
            None => Some(host).filter(|host| !host.contains([':', '/', '@', '?', '#', ']'])),
        };
        let host = bare.filter(|host| !host.is_empty());
        let host = host.ok_or(BadAddress("its host is none, as in `http://127.0.0.1:8080`"))?;
        let port = Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        let port = port.and_then(|port| port.parse().ok());
        Ok(Self::Tcp {
            host: host.to_owned(),
            port: port.ok_or(BadAddress("its port is none: 0 to 65535"))?,
            is_encrypted,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "http+unix://{}", path.display()),
            Self::Tcp {
                host,
                port,
                is_encrypted,
            } => {
                let scheme = if *is_encrypted { "https" } else { "http" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}")
                } else {
                    write!(f, "{scheme}://{host}:{port}")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in [
            "http://127.0.0.1:8080",
            "https://[::1]:0",
            "http://localhost:1",
            "http+unix:///run/a.sock",
            "http+unix://a.sock",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for (text, shown) in [
            ("http://a", "http://a:80"),
            ("https://[::1]/", "https://[::1]:443"),
            ("http://localhost:0/", "http://localhost:0"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "127.0.0.1:8080",
            "ftp://a:1",
            "http://:80",
            "http://a:b",
            "http://a:+1",
            "http://a:70000",
            "http://a/b:80",
            "http://u@a:80",
            "http://::1:80",
            "http://[a]:80",
            "http+unix://",
            "http+unix:///run/",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_loopback_and_unix_sockets_are_not_public() {
        for (text, public) in [
            ("http://127.0.0.2:1", false),
            ("http://localhost:1", false),
            ("http://[::1]:1", false),
            ("http://[::]:1", true),
            ("http://0.0.0.0:1", true),
            ("https://10.0.0.1:1", true),
            ("http://host:1", true),
            ("http+unix:///a", false),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().is_public(), public, "{text}");
        }
    }
}
