//! Where the collector is.

use std::{fmt, str::FromStr};

use hyper::{
    Uri,
    http::{HeaderValue, uri::Scheme},
};

/// An `http` or `https` URL, taken apart for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    /// The value of `Host`.
    pub(super) authority: HeaderValue,
    pub(super) path: Uri,
}

/// Why a text is no endpoint.
#[derive(Debug, thiserror::Error)]
#[error("it has to be a URL like http://localhost:4318 or https://collector.example:4318")]
pub(super) struct BadEndpoint;

impl Endpoint {
    /// The endpoint of one signal below a base that all signals share.
    pub(super) fn below(base: &str, signal: &str) -> Result<Self, BadEndpoint> {
        let endpoint: Self = base.parse()?;
        let path = format!("{}{signal}", endpoint.path.path().trim_end_matches('/'));
        Ok(Self {
            path: path.parse().map_err(|_| BadEndpoint)?,
            ..endpoint
        })
    }
}

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        let uri: Uri = text.trim().parse().map_err(|_| BadEndpoint)?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(BadEndpoint),
        };
        let authority = uri.authority().ok_or(BadEndpoint)?;
        // A name and a password would end up in logs: there is a variable for headers.
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(BadEndpoint);
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| BadEndpoint)?,
            path: path.parse().map_err(|_| BadEndpoint)?,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let authority = self.authority.to_str().unwrap_or_default();
        write!(f, "{scheme}://{authority}{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_gets_the_signals_path_and_an_endpoint_of_its_own_is_taken_as_it_is() {
        let below = |base| Endpoint::below(base, "/v1/traces").expect("an endpoint").to_string();
        assert_eq!(below("http://localhost:4318"), "http://localhost:4318/v1/traces");
        assert_eq!(below("https://c.example/otlp/"), "https://c.example/otlp/v1/traces");
        let own: Endpoint = "http://[::1]:9/x?y=1".parse().expect("an endpoint");
        assert_eq!((&*own.host, own.port, own.tls), ("::1", 9, false));
        assert_eq!(own.to_string(), "http://[::1]:9/x?y=1");
        let plain: Endpoint = "https://c.example".parse().expect("an endpoint");
        assert_eq!((plain.port, plain.tls, plain.path.path()), (443, true, "/"));
    }

    #[test]
    fn what_is_no_url_of_ours_is_refused() {
        for text in [
            "",
            "localhost:4318",
            "grpc://x:4317",
            "/v1/traces",
            "http://",
            "http://me:secret@x",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
