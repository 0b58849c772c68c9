//! Prometheus remote write 1.0: all series, on an interval.
//!
//! What is sent is what the series are at that time. So a write that fails is tried a few times and then left: the next
//! one says all that it would have said.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use chassis::{
    guard::{Backoff, Guard, GuardError, Judge, Verdict},
    lifecycle::Drain,
    telemetry::in_full,
};
use jiff::Timestamp;
use prost::Message;
use reqwest::{
    StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName},
};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::series::{Labels, Series};
use crate::{
    backends::{
        Failure,
        client::{Server, Version},
    },
    config::RemoteWrite as Config,
};

/// Writes on an interval.
#[derive(Debug)]
pub(super) struct RemoteWrite {
    name: String,
    server: Server,
    interval: Duration,
    series: Arc<Series>,
    guard: Guard,
}

/// `prometheus.WriteRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

/// `prometheus.TimeSeries`; its labels in the order of their names.
#[derive(Clone, PartialEq, prost::Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

/// `prometheus.Label`.
#[derive(Clone, PartialEq, prost::Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// `prometheus.Sample`; its time in milliseconds since 1970.
#[derive(Clone, PartialEq, prost::Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// A write that did not go.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
struct Unwritten {
    why: String,
    verdict: Verdict,
}

impl Judge for Unwritten {
    fn verdict(&self) -> Verdict {
        self.verdict
    }
}

/// Series in one request.
const AT_ONCE: usize = 2000;
/// How often a write is tried.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(3).expect("not 0");
/// Between tries.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

impl RemoteWrite {
    pub(super) fn new(name: &str, config: &Config, series: Arc<Series>, drain: &Drain) -> Result<Self, String> {
        let interval = config.interval.get();
        if interval.is_zero() {
            return Err("`remote_write.interval` cannot be 0".to_owned());
        }
        let server = Server::new(&config.url, config.timeout.get(), Version::Http1)?
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(CONTENT_ENCODING, "snappy")
            .header(HeaderName::from_static("x-prometheus-remote-write-version"), "0.1.0")
            .credentials(config.basic_auth.as_ref(), config.bearer_token.as_ref())?
            .headers(&config.headers)?;
        let guard = Guard::builder().attempts(ATTEMPTS).backoff(PAUSES).drain(drain.clone());
        Ok(Self {
            name: name.to_owned(),
            server,
            interval,
            series,
            guard: guard.build(),
        })
    }

    /// Writes until `ended` is told, then once more; where it is dropped, or the drain is cut, no more.
    pub(super) async fn run(self, mut ended: oneshot::Receiver<()>, drain: Drain) {
        let mut fails = false;
        loop {
            let is_last = tokio::select! {
                biased;
                () = drain.cut() => return,
                told = &mut ended => match told {
                    Ok(()) => true,
                    Err(_) => return,
                },
                () = tokio::time::sleep(self.interval) => false,
            };
            let backend = &*self.name;
            match self.write().await {
                Ok(()) => {
                    if fails {
                        info!(backend, "remote write goes again");
                    }
                    fails = false;
                }
                Err(why) => {
                    if !fails || is_last {
                        warn!(
                            backend,
                            why, "remote write does not go, the next one will say all that this one had"
                        );
                    }
                    fails = true;
                }
            }
            if is_last {
                return;
            }
        }
    }

    /// Writes everything once; what a server refuses does not keep the rest back.
    async fn write(&self) -> Result<(), String> {
        let now = Timestamp::now().as_millisecond();
        let mut outcome = Ok(());
        for some in self.series.all().chunks(AT_ONCE) {
            let body = encode(some, now).map_err(|error| in_full(&error))?;
            let sent = self.guard.run(|_| self.send(body.clone())).await;
            match sent {
                Ok(()) => {}
                Err(GuardError::Failed { source, .. }) if source.verdict == Verdict::Terminal => {
                    outcome = Err(source.why);
                }
                Err(error) => return Err(in_full(&error)),
            }
        }
        outcome
    }

    async fn send(&self, body: Vec<u8>) -> Result<(), Unwritten> {
        let never = |why| Unwritten {
            why,
            verdict: Verdict::Terminal,
        };
        let (status, judged) = match self.server.send(body).await {
            Ok(answer) => (Some(answer.status), answer.judge_saying(&answer.words())),
            Err(failure) => (None, Err(failure)),
        };
        match judged {
            Ok(_) => Ok(()),
            // Of what the client did wrong only 429 is tried again.
            Err(Failure::Away { why, .. })
                if status.is_some_and(|status| status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS) =>
            {
                Err(never(why))
            }
            Err(Failure::Away { why, after }) => Err(Unwritten {
                why,
                verdict: Verdict::Transient { after },
            }),
            Err(Failure::TooLarge { why } | Failure::Refused { why }) => Err(never(why)),
        }
    }
}

/// A body with these series at a time.
fn encode(series: &[(Labels, f64)], timestamp: i64) -> Result<Vec<u8>, snap::Error> {
    let timeseries = series.iter().map(|(labels, value)| TimeSeries {
        labels: labels
            .iter()
            .map(|(name, value)| Label {
                name: name.clone(),
                value: value.clone(),
            })
            .collect(),
        samples: vec![Sample {
            value: *value,
            timestamp,
        }],
    });
    let request = WriteRequest {
        timeseries: timeseries.collect(),
    };
    // The block format; the framed one is not what remote write has.
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec())
}
