//! OTLP over HTTP and over gRPC, and what a collector's answers mean.
//!
//! As OTLP has it: what is tried again are 429, 502, 503 and 504, and the codes of gRPC that say "not now"; the rest is for
//! good. One word of our own: credentials that are refused are tried again, as somebody will mend them.

use std::time::Duration;

use bytes::Buf;
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, TE};

use super::request::{Signal, rejected};
use crate::{
    backends::{
        Failure,
        client::{Answer, LONGEST_PAUSE, Server, Version, gzip, words},
    },
    config::{Compression, Otlp as Config, OtlpProtocol as Protocol},
};

/// Posts to the three services of a collector.
#[derive(Debug)]
pub(super) struct Post {
    protocol: Protocol,
    traces: Server,
    metrics: Server,
    logs: Server,
    compression: Compression,
}

/// `google.rpc.Status`, as far as it is read.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl Post {
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let (version, media) = match config.protocol {
            Protocol::Http => (Version::Http1, "application/x-protobuf"),
            Protocol::Grpc => (Version::Http2, "application/grpc"),
        };
        let mut server = Server::new(&config.url, config.timeout.get(), version)?
            .header(CONTENT_TYPE, media)
            .credentials(config.basic_auth.as_ref(), config.bearer_token.as_ref())?
            .headers(&config.headers)?;
        let is_gzip = config.compression == Compression::Gzip;
        server = match config.protocol {
            Protocol::Http => server.compressed(config.compression),
            Protocol::Grpc if is_gzip => server
                .header(TE, "trailers")
                .header(HeaderName::from_static("grpc-encoding"), "gzip"),
            Protocol::Grpc => server.header(TE, "trailers"),
        };
        let below = |http: &str, grpc: &str| {
            server.clone().below(match config.protocol {
                Protocol::Http => http,
                Protocol::Grpc => grpc,
            })
        };
        Ok(Self {
            protocol: config.protocol,
            traces: below(
                "/v1/traces",
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            ),
            metrics: below(
                "/v1/metrics",
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            ),
            logs: below("/v1/logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
            compression: config.compression,
        })
    }

    /// Sends a message; says how many of its pieces were not taken, and why, where the collector says so.
    pub(super) async fn send(&self, signal: Signal, message: Vec<u8>) -> Result<Option<(usize, String)>, Failure> {
        let server = match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        };
        match self.protocol {
            Protocol::Http => {
                let answer = server.send(message).await?;
                judge(&answer)?;
                Ok(rejected(signal, &answer.body))
            }
            Protocol::Grpc => {
                let framed = self
                    .frame(&message)
                    .map_err(|error| Failure::Refused { why: error.to_string() })?;
                let answer = server.send(framed).await?;
                judge_call(&answer)?;
                Ok(unframed(&answer.body).and_then(|message| rejected(signal, message)))
            }
        }
    }

    /// A message as gRPC frames it: whether it is compressed, its length, itself.
    fn frame(&self, message: &[u8]) -> std::io::Result<Vec<u8>> {
        let packed = match self.compression {
            Compression::None => None,
            Compression::Gzip => Some(gzip(message)?),
        };
        let body = packed.as_deref().unwrap_or(message);
        let length = u32::try_from(body.len()).map_err(std::io::Error::other)?;
        let mut framed = Vec::with_capacity(5 + body.len());
        framed.push(u8::from(packed.is_some()));
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(body);
        Ok(framed)
    }
}

/// The first message of an answer; we have not said that it may be compressed.
fn unframed(mut body: &[u8]) -> Option<&[u8]> {
    if body.len() < 5 || body.get_u8() != 0 {
        return None;
    }
    let length = usize::try_from(body.get_u32()).ok()?;
    body.get(..length)
}

/// OTLP/HTTP.
fn judge(answer: &Answer) -> Result<(), Failure> {
    let said = Status::decode(&answer.body[..]).unwrap_or_default().message;
    match (answer.status.as_u16(), answer.judge_saying(&words(said.as_bytes()))) {
        (_, Ok(_)) => Ok(()),
        (408 | 425 | 500 | 501 | 505..=599, Err(Failure::Away { why, .. })) => Err(Failure::Refused { why }),
        (_, Err(failure)) => Err(failure),
    }
}

/// OTLP/gRPC.
fn judge_call(answer: &Answer) -> Result<(), Failure> {
    if !answer.status.is_success() {
        return judge(answer);
    }
    // Where there is no message, the trailers stand in the place of the headers.
    let find = |name: &str| answer.trailers.get(name).or_else(|| answer.headers.get(name));
    let text = |name: &str| find(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let code = text("grpc-status").trim().parse::<u32>();
    let message = words(text("grpc-message").as_bytes());
    let Ok(code) = code else {
        return Err(Failure::Away {
            why: "the server's answer broke off, or is no gRPC".to_owned(),
            after: None,
        });
    };
    let why = format!("the server answered with code {code} of gRPC: {message}");
    let after = retry_info(&answer.trailers).or_else(|| retry_info(&answer.headers));
    match code {
        0 => Ok(()),
        // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss; then those of credentials.
        1 | 4 | 10 | 11 | 14 | 15 | 7 | 16 => Err(Failure::Away { why, after }),
        8 if message.contains("larger than max") => Err(Failure::TooLarge { why }),
        8 if after.is_some() => Err(Failure::Away { why, after }),
        _ => Err(Failure::Refused { why }),
    }
}

/// How long the server wants to be left alone.
fn retry_info(headers: &HeaderMap) -> Option<Duration> {
    let details = headers.get("grpc-status-details-bin")?.to_str().ok()?;
    // Both with and without padding are allowed.
    let details = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD_NO_PAD,
        details.trim_end_matches('='),
    );
    let details = Status::decode(&details.ok()?[..]).ok()?.details;
    let info = details
        .iter()
        .find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&info.value[..]).ok()?.retry_delay.unwrap_or_default();
    let (seconds, nanos) = (u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?);
    Some(
        Duration::from_secs(seconds)
            .saturating_add(Duration::from_nanos(nanos.into()))
            .min(LONGEST_PAUSE),
    )
}
