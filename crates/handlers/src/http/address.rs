//! Where an HTTP handler is: `http://host:port/base`, or `http+unix://PATH:/base` for a Unix socket.
//!
//! Pure. The path of a socket is percent-decoded, so that one with `:/` in it can be written, as `%3A/`.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where an HTTP handler is.
///
/// ```
/// use handlers::HttpAddress;
///
/// let address: HttpAddress = "http+unix:///run/my%20app.sock:/v2".parse()?;
/// assert_eq!(address.socket(), Some(std::path::Path::new("/run/my app.sock")));
/// assert!("https://example.org".parse::<HttpAddress>().is_err());
/// # Ok::<(), handlers::BadAddress>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAddress {
    pub(crate) target: Target,
    /// What stands before `/invoke`: empty, or a path without a slash at its end.
    base: String,
    text: String,
}

/// What is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A host's name or address, without brackets, and a port.
    Tcp { host: String, port: u16 },
    /// A Unix stream socket.
    Unix(PathBuf),
}

/// A text that is no address of an HTTP handler: what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BadAddress {
    /// In a person's words.
    pub why: &'static str,
}

impl HttpAddress {
    /// The path of its Unix socket, where it is one.
    pub fn socket(&self) -> Option<&Path> {
        match &self.target {
            Target::Unix(path) => Some(path),
            Target::Tcp { .. } => None,
        }
    }

    /// The same with the path of a Unix socket taken from `folder` on, where it is relative.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> Self {
        if let Target::Unix(path) = &mut self.target {
            *path = folder.join(&*path);
        }
        self
    }

    /// The path that requests are posted to.
    pub(crate) fn path(&self) -> String {
        format!("{}/invoke", self.base)
    }

    /// What the `Host` header says.
    pub(crate) fn host(&self) -> String {
        match &self.target {
            Target::Unix(_) => "localhost".to_owned(),
            Target::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Target::Tcp { host, port } => format!("{host}:{port}"),
        }
    }
}

impl FromStr for HttpAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = |why| Err(BadAddress { why });
        let (target, base) = if let Some(rest) = text.strip_prefix("http+unix://") {
            let (path, base) = match rest.find(":/") {
                Some(colon) => (&rest[..colon], &rest[colon + 1..]),
                None => (rest, ""),
            };
            let path = decoded(path).ok_or(BadAddress {
                why: "the path of its socket is not percent-encoded text",
            })?;
            if path.trim_end_matches('/').is_empty() {
                return bad("it names no socket, as in `http+unix:///run/app.sock`");
            }
            (Target::Unix(path.into()), base)
        } else if let Some(rest) = text.strip_prefix("http://") {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            (tcp(&rest[..end])?, &rest[end..])
        } else if text.starts_with("https://") {
            return bad("a handler is reached without TLS: use `http://` on this machine or within the pod");
        } else {
            return bad("it has to begin with `http://` or `http+unix://`");
        };
        if base.contains(['?', '#']) {
            return bad("it has a query or a fragment: an address ends with its path");
        }
        let address = Self {
            target,
            base: base.trim_end_matches('/').to_owned(),
            text: text.to_owned(),
        };
        if !base.is_ascii() || address.path().parse::<hyper::Uri>().is_err() {
            return bad("its path has characters that have to be percent-encoded");
        }
        Ok(address)
    }
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn tcp(authority: &str) -> Result<Target, BadAddress> {
    let bad = |why| Err(BadAddress { why });
    if authority.contains('@') {
        return bad("it has a user: handlers are not authenticated to");
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').or(rest.is_empty().then_some("80"))),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("80")),
        },
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    if host.is_empty() || !host.bytes().all(fits) {
        return bad("it names no host, as in `http://127.0.0.1:8000`");
    }
    match port.and_then(|port| port.parse().ok()).filter(|port| *port != 0) {
        Some(port) => Ok(Target::Tcp {
            host: host.to_owned(),
            port,
        }),
        None => bad("its port is none: 1 to 65535, as in `http://127.0.0.1:8000`"),
    }
}

/// The text with `%41` as `A`; `None` where it is no such text, or has a NUL.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        let sign = digits.starts_with('+');
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| !sign)?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, String) {
        let address: HttpAddress = text.parse().expect(text);
        let target = match &address.target {
            Target::Unix(path) => path.display().to_string(),
            Target::Tcp { .. } => address.host(),
        };
        (target, address.path())
    }

    #[test]
    fn an_address_is_a_host_or_a_socket_with_a_base_path() {
        for (text, target, path) in [
            ("http://localhost:8000", "localhost:8000", "/invoke"),
            ("http://127.0.0.1:8000/", "127.0.0.1:8000", "/invoke"),
            ("http://app/v1/", "app:80", "/v1/invoke"),
            ("http://[::1]:9/a%20b", "[::1]:9", "/a%20b/invoke"),
            ("http://[::1]", "[::1]:80", "/invoke"),
            ("http+unix:///run/app.sock", "/run/app.sock", "/invoke"),
            ("http+unix:///run/app.sock:/v1/", "/run/app.sock", "/v1/invoke"),
            ("http+unix:///run/a%3A/b%20c", "/run/a:/b c", "/invoke"),
            ("http+unix://app.sock", "app.sock", "/invoke"),
        ] {
            assert_eq!(parsed(text), (target.to_owned(), path.to_owned()), "{text}");
        }
        let relative: HttpAddress = "http+unix://app.sock".parse().unwrap();
        assert_eq!(
            relative.within(Path::new("/run")).socket(),
            Some(Path::new("/run/app.sock"))
        );
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        for text in [
            "",
            "localhost:8000",
            "https://localhost",
            "http://",
            "http://:80",
            "http://h:0",
            "http://h:x",
            "http://h:70000",
            "http://[::1",
            "http://u:p@h",
            "http://h/?q",
            "http://h#f",
            "http://h/a b",
            "http+unix://",
            "http+unix:///",
            "http+unix:///a%0",
            "http+unix:///a%+1",
            "http+unix:///a%00",
            "http+unix:///a%ff",
        ] {
            assert!(text.parse::<HttpAddress>().is_err(), "{text}");
        }
    }
}
