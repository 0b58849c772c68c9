//! Where an upstream is: `http://HOST:PORT/base`, `https://..`, or `http+unix://PATH:/base`. Pure.

use std::{fmt, path::PathBuf, str::FromStr};

use http::uri::{Authority, PathAndQuery};

/// One address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamAddress {
    pub(super) place: Place,
    /// What goes before the path of each request: empty, or a path without a slash at its end.
    base: String,
    text: String,
}

/// What is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Tcp {
        /// Without brackets.
        host: String,
        port: u16,
        is_encrypted: bool,
    },
    Unix(PathBuf),
}

/// A text that is no address of an upstream, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadAddress(&'static str);

impl UpstreamAddress {
    /// What `Host` says where the upstream's own is wanted.
    pub(super) fn host(&self) -> String {
        match &self.place {
            Place::Unix(_) => "localhost".to_owned(),
            Place::Tcp {
                host,
                port,
                is_encrypted,
            } => {
                let host = if host.contains(':') {
                    format!("[{host}]")
                } else {
                    host.clone()
                };
                match (*is_encrypted, *port) {
                    (false, 80) | (true, 443) => host,
                    (_, port) => format!("{host}:{port}"),
                }
            }
        }
    }

    /// What goes before the path of each request; empty for nothing.
    pub(super) fn base(&self) -> &str {
        &self.base
    }
}

impl FromStr for UpstreamAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (place, base) = if let Some(rest) = text.strip_prefix("http+unix://") {
            let (path, base) = rest
                .find(":/")
                .map_or((rest, ""), |colon| (&rest[..colon], &rest[colon + 1..]));
            if path.is_empty() || path.ends_with('/') || path.contains('\0') {
                return Err(BadAddress("it names no socket, as in `http+unix:///run/app.sock`"));
            }
            (Place::Unix(path.into()), base)
        } else {
            let (rest, is_encrypted) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
                (Some(rest), _) => (rest, false),
                (_, Some(rest)) => (rest, true),
                _ => {
                    return Err(BadAddress(
                        "it begins neither with `http://`, `https://` nor `http+unix://`",
                    ));
                }
            };
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            (tcp(&rest[..end], is_encrypted)?, &rest[end..])
        };
        if base.contains(['?', '#']) {
            return Err(BadAddress(
                "it has a query or a fragment: an address ends with its path",
            ));
        }
        if !base.is_empty() && base.parse::<PathAndQuery>().is_err() {
            return Err(BadAddress("its path has characters that have to be percent-encoded"));
        }
        Ok(Self {
            place,
            base: base.trim_end_matches('/').to_owned(),
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn tcp(authority: &str, is_encrypted: bool) -> Result<Place, BadAddress> {
    if authority.contains('@') {
        return Err(BadAddress("it has a user: upstreams are not authenticated to"));
    }
    let bad = BadAddress("it names no host and port, as in `http://127.0.0.1:3000`");
    let parsed: Authority = authority.parse().map_err(|_| bad.clone())?;
    let host = parsed.host();
    let port = match authority.get(host.len()..).and_then(|rest| rest.strip_prefix(':')) {
        Some(_) => parsed.port_u16().filter(|port| *port != 0).ok_or(bad.clone())?,
        None if is_encrypted => 443,
        None => 80,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(bad);
    }
    Ok(Place::Tcp {
        host: host.to_owned(),
        port,
        is_encrypted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_or_a_socket_with_a_base() {
        for (text, host, base) in [
            ("http://127.0.0.1:3000", "127.0.0.1:3000", ""),
            ("http://a/", "a", ""),
            ("https://a/v1/", "a", "/v1"),
            ("https://a:80", "a:80", ""),
            ("http://[::1]:9/b", "[::1]:9", "/b"),
            ("http+unix:///run/a.sock", "localhost", ""),
            ("http+unix:///run/a.sock:/v1", "localhost", "/v1"),
        ] {
            let address: UpstreamAddress = text.parse().expect(text);
            assert_eq!((address.host().as_str(), address.base()), (host, base), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "a:1",
            "ftp://a",
            "http://",
            "http://:1",
            "http://a:",
            "http://a:0",
            "http://a:x",
            "http://u@a",
            "http://a?q",
            "http://a/b c",
            "http+unix://",
            "http+unix:///",
            "http://[::1",
        ] {
            assert!(text.parse::<UpstreamAddress>().is_err(), "{text}");
        }
    }
}
