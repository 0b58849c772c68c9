//! Requests to a server, and what its answers mean; for all backends that speak HTTP.
//!
//! The one rule: an answer is judged by its status (RFC 9110, section 15) where a protocol has no rule of its own, and a
//! server that does not answer is away, whatever became of the request.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use chassis::{config::Secret, telemetry::in_full};
use flate2::{Compression as Level, write::GzEncoder};
use http_body_util::{BodyExt, Limited};
use jiff::fmt::rfc2822;
use reqwest::{
    Body, Client, Method, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::{Failure, Refusal};
use crate::config::{BasicAuth, Compression};

/// Sends requests to one address.
#[derive(Debug, Clone)]
pub(super) struct Server {
    client: Client,
    method: Method,
    url: Url,
    headers: HeaderMap,
    compression: Compression,
}

/// What a server said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Empty where it broke off.
    pub(super) body: Bytes,
    pub(super) trailers: HeaderMap,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    /// Without asking.
    Http2,
}

/// What a body holds at most, as it is before it is compressed.
pub(super) const LARGEST: usize = 1 << 20;
/// Of an answer; the longest are those that name every line.
const LARGEST_ANSWER: usize = 16 << 20;
/// The longest that a server may ask to be left alone.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// Of what a server says of a failure.
const LONGEST_WORDS: usize = 300;

impl Server {
    /// Posts to a URL; a `timeout` of 0 is none.
    pub(super) fn new(url: &str, timeout: Duration, version: Version) -> Result<Self, String> {
        Ok(Self {
            client: client(timeout, version)?,
            method: Method::POST,
            url: url
                .parse()
                .map_err(|error| format!("the URL cannot be used: {error}"))?,
            headers: HeaderMap::new(),
            compression: Compression::None,
        })
    }

    /// Uses another method.
    pub(super) fn method(mut self, method: &str) -> Result<Self, String> {
        let parsed = method.to_ascii_uppercase().parse();
        self.method = parsed.map_err(|_| format!("`{method}` is no method"))?;
        Ok(self)
    }

    /// The same server, below its URL; where the URL names the place already, it stays as it is.
    pub(super) fn below(mut self, path: &str) -> Self {
        let base = self.url.path().trim_end_matches('/');
        if !base.ends_with(path) {
            let path = format!("{base}{path}");
            self.url.set_path(&path);
        }
        self
    }

    /// Adds to what the URL asks for.
    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Sends a header with every request.
    pub(super) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// Sends a header of the configuration with every request.
    pub(super) fn value(mut self, name: HeaderName, value: &str) -> Result<Self, String> {
        let value = sensitive(name.as_str(), value)?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Sends headers of the configuration with every request.
    pub(super) fn headers(mut self, headers: &BTreeMap<String, Secret>) -> Result<Self, String> {
        for (name, value) in headers {
            let header: HeaderName = name.parse().map_err(|_| format!("`{name}` is no name for a header"))?;
            self.headers.insert(header, sensitive(name, value.expose())?);
        }
        Ok(self)
    }

    /// Says with every request who asks.
    pub(super) fn credentials(mut self, basic: Option<&BasicAuth>, bearer: Option<&Secret>) -> Result<Self, String> {
        let value = match (basic, bearer) {
            (None, None) => return Ok(self),
            (Some(_), Some(_)) => return Err("`basic_auth` and `bearer_token` cannot both be sent".to_owned()),
            (Some(basic), None) => {
                let pair = format!("{}:{}", basic.username, basic.password.expose());
                format!("Basic {}", base64::Engine::encode(&BASE64, pair))
            }
            (None, Some(token)) => format!("Bearer {}", token.expose()),
        };
        self.headers.insert(AUTHORIZATION, sensitive("authorization", &value)?);
        Ok(self)
    }

    /// Compresses every body, and says so.
    pub(super) fn compressed(mut self, compression: Compression) -> Self {
        self.compression = compression;
        if compression == Compression::Gzip {
            self.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        self
    }

    /// Sends a body.
    ///
    /// # Errors
    /// The server is away: there is no answer.
    ///
    /// # Cancellation
    /// Whether the server took it is not known then.
    pub(super) async fn send(&self, body: Vec<u8>) -> Result<Answer, Failure> {
        let body = match self.compression {
            Compression::None => body,
            Compression::Gzip => gzip(&body).map_err(|error| Failure::Refused { why: error.to_string() })?,
        };
        let request = self
            .client
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone())
            .body(body);
        let response = request.send().await.map_err(|error| Failure::Away {
            why: in_full(&error.without_url()),
            after: None,
        })?;
        let (status, headers) = (response.status(), response.headers().clone());
        // To its end, so that the connection serves the next one.
        let rest = Limited::new(Body::from(response), LARGEST_ANSWER).collect().await;
        let (trailers, body) = rest.map_or_else(
            |_| (None, Bytes::new()),
            |rest| (rest.trailers().cloned(), rest.to_bytes()),
        );
        Ok(Answer {
            status,
            headers,
            body,
            trailers: trailers.unwrap_or_default(),
        })
    }
}

impl Answer {
    /// What it means for what was sent.
    ///
    /// # Errors
    /// It was not taken.
    pub(super) fn judge(&self) -> Result<Vec<Refusal>, Failure> {
        self.judge_saying("")
    }

    /// The same, with what else is known of a failure.
    pub(super) fn judge_saying(&self, words: &str) -> Result<Vec<Refusal>, Failure> {
        let mut why = format!("the server answered {}", self.status);
        if !words.is_empty() {
            why = format!("{why}: {words}");
        }
        match self.status.as_u16() {
            200..=299 => Ok(Vec::new()),
            413 => Err(Failure::TooLarge { why }),
            // Not now: too early, too many, too slow; or not with these credentials, which somebody will mend.
            401 | 403 | 407 | 408 | 425 | 429 | 500..=599 => Err(Failure::Away {
                why,
                after: self.after(),
            }),
            _ => Err(Failure::Refused { why }),
        }
    }

    /// How long the server wants to be left alone.
    pub(super) fn after(&self) -> Option<Duration> {
        let wanted = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let pause = if let Ok(seconds) = wanted.parse() {
            Duration::from_secs(seconds)
        } else {
            let date = rfc2822::parse(wanted).ok()?;
            SystemTime::from(date.timestamp())
                .duration_since(SystemTime::now())
                .unwrap_or_default()
        };
        Some(pause.min(LONGEST_PAUSE))
    }

    /// The beginning of its body, on one line.
    pub(super) fn words(&self) -> String {
        words(&self.body)
    }
}

/// The beginning of a text, on one line.
pub(super) fn words(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(LONGEST_WORDS)]);
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Compresses (RFC 1952).
pub(super) fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Level::default());
    gzip.write_all(body)?;
    gzip.finish()
}

fn sensitive(name: &str, value: &str) -> Result<HeaderValue, String> {
    let mut value: HeaderValue = value
        .parse()
        .map_err(|_| format!("the value of header `{name}` cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A client over pooled connections, which trusts the system's authorities.
pub(super) fn client(timeout: Duration, version: Version) -> Result<Client, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut builder = Client::builder()
        .user_agent(concat!("outrigger/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none());
    builder = match version {
        Version::Http1 => builder.http1_only(),
        Version::Http2 => {
            tls.alpn_protocols = vec![b"h2".to_vec()];
            builder.http2_prior_knowledge()
        }
    };
    if !timeout.is_zero() {
        builder = builder.timeout(timeout);
    }
    let built = builder.tls_backend_preconfigured(tls).build();
    built.map_err(|error| in_full(&error))
}

const BASE64: base64::engine::GeneralPurpose = base64::engine::general_purpose::STANDARD;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Answer {
        let headers = retry_after.map(|value| (RETRY_AFTER, value.parse().unwrap()));
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.into_iter().collect(),
            body: Bytes::new(),
            trailers: HeaderMap::new(),
        }
    }

    fn verdict(status: u16) -> &'static str {
        match answer(status, None).judge() {
            Ok(_) => "taken",
            Err(Failure::Away { .. }) => "away",
            Err(Failure::TooLarge { .. }) => "too large",
            Err(Failure::Refused { .. }) => "refused",
        }
    }

    #[test]
    fn an_answer_says_what_becomes_of_a_batch() {
        assert_eq!([200, 202, 204].map(verdict), ["taken"; 3]);
        assert_eq!([401, 408, 429, 500, 503].map(verdict), ["away"; 5]);
        assert_eq!([301, 400, 404, 422].map(verdict), ["refused"; 4]);
        assert_eq!(verdict(413), "too large");
    }

    #[test]
    fn a_server_says_how_long_it_wants_to_be_left_alone() {
        let after = |value| answer(503, Some(value)).after();
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("18446744073709551615"), Some(LONGEST_PAUSE));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(after("Tue, 31 Dec 2199 23:59:59 GMT"), Some(LONGEST_PAUSE));
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn a_place_is_below_the_url_whether_the_url_names_it_or_not() {
        let path = |url: &str| {
            let server = Server::new(url, Duration::ZERO, Version::Http1).unwrap();
            server.below("/loki/api/v1/push").url.to_string()
        };
        let wanted = "http://a:1/loki/api/v1/push";
        assert_eq!(path("http://a:1"), wanted);
        assert_eq!(path("http://a:1/"), wanted);
        assert_eq!(path(wanted), wanted);
        assert_eq!(path("http://a/b/"), "http://a/b/loki/api/v1/push");
    }

    #[test]
    fn what_a_server_says_is_kept_short_and_on_one_line() {
        assert_eq!(words(b" a\r\n\x1b[31mb\xff "), "a [31mb\u{fffd}");
        assert!(words(&[b'x'; 5000]).len() <= LONGEST_WORDS);
    }
}
