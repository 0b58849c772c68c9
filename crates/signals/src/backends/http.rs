//! Requests to a server, each with a batch.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use flate2::{Compression as Level, write::GzEncoder};
use reqwest::{
    Client, Method, StatusCode, Url,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::{Capacity, Failure, Refusal, Sink};
use crate::{
    batch::Batch,
    config::{Compression, Encoding, Http},
};

/// Posts batches.
#[derive(Debug)]
pub(super) struct Requests {
    client: Client,
    method: Method,
    url: Url,
    headers: HeaderMap,
    encoding: Encoding,
    compression: Compression,
    lines: usize,
}

/// What a body holds at most, as it is before it is compressed.
const LARGEST: usize = 1 << 20;

impl Requests {
    pub(super) fn new(config: &Http, lines: usize) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        let media = match config.encoding {
            Encoding::Ndjson => "application/x-ndjson",
            Encoding::Json => "application/json",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        if config.compression == Compression::Gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        for (name, value) in &config.headers {
            let header: HeaderName = name.parse().map_err(|_| format!("`{name}` is no name for a header"))?;
            let mut value: HeaderValue = value
                .expose()
                .parse()
                .map_err(|_| format!("the value of header `{name}` cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        Ok(Self {
            client: client(config.timeout.get())?,
            method: config
                .method
                .to_ascii_uppercase()
                .parse()
                .map_err(|_| format!("`{}` is no method", config.method))?,
            url: config
                .url
                .parse()
                .map_err(|error| format!("the URL cannot be used: {error}"))?,
            headers,
            encoding: config.encoding,
            compression: config.compression,
            lines,
        })
    }

    fn body(&self, batch: &Batch) -> io::Result<Bytes> {
        let mut body = Vec::new();
        match self.encoding {
            Encoding::Ndjson => {
                for line in batch.lines() {
                    body.extend_from_slice(line);
                    body.push(b'\n');
                }
            }
            Encoding::Json => {
                for (index, line) in batch.lines().enumerate() {
                    body.push(if index == 0 { b'[' } else { b',' });
                    body.extend_from_slice(line);
                }
                body.push(b']');
            }
        }
        if self.compression == Compression::Gzip {
            let mut gzip = GzEncoder::new(Vec::new(), Level::default());
            gzip.write_all(&body)?;
            body = gzip.finish()?;
        }
        Ok(body.into())
    }
}

#[async_trait]
impl Sink for Requests {
    fn capacity(&self) -> Capacity {
        Capacity {
            lines: self.lines,
            bytes: LARGEST,
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        let body = self
            .body(batch)
            .map_err(|error| Failure::Refused { why: error.to_string() })?;
        let request = self
            .client
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone())
            .body(body);
        match request.send().await {
            Ok(response) => {
                let (status, after) = (response.status(), retry_after(response.headers()));
                // To its end, so that the connection serves the next one.
                let _ = response.bytes().await;
                judge(status, after)
            }
            Err(error) => Err(Failure::Away {
                why: chassis::telemetry::in_full(&error.without_url()),
                after: None,
            }),
        }
    }
}

/// A client over pooled connections, which trusts the system's authorities.
pub(super) fn client(timeout: Duration) -> Result<Client, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("outrigger/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none());
    if !timeout.is_zero() {
        builder = builder.timeout(timeout);
    }
    builder.build().map_err(|error| chassis::telemetry::in_full(&error))
}

/// Seconds that a server wants to be left alone.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What an answer means for the batch (RFC 9110, section 15).
fn judge(status: StatusCode, after: Option<Duration>) -> Result<Vec<Refusal>, Failure> {
    let why = format!("the server answered {status}");
    match status.as_u16() {
        200..=299 => Ok(Vec::new()),
        413 => Err(Failure::TooLarge { why }),
        // Not now: too early, too many, too slow; or not with these credentials, which somebody will mend.
        401 | 403 | 407 | 408 | 425 | 429 | 500..=599 => Err(Failure::Away { why, after }),
        _ => Err(Failure::Refused { why }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16) -> &'static str {
        match judge(StatusCode::from_u16(status).unwrap(), None) {
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
}
