//! Gathers spans into batches and sends them, again where the collector wants that.

use std::{path::PathBuf, pin::pin, time::Duration};

use hyper::StatusCode;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsConnector, rustls};
use tracing::debug;

use super::{
    client::{Answer, Client},
    message,
    outbox::{Counts, Loss, Outbox},
    settings::{Batch, Export},
    tls,
};
use crate::{
    guard::Backoff,
    lifecycle::Drain,
    telemetry::{in_full, traces::Span},
};

/// Sends what comes through its outbox.
pub(in crate::telemetry) struct Exporter {
    export: Export,
    tls: Option<TlsConnector>,
    inbox: mpsc::Receiver<Span>,
    counts: Counts,
}

/// Why spans cannot be exported at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(in crate::telemetry) enum StartError {
    /// The file with the authorities is of no use.
    #[error(
        "cannot read certificates from {}: OTEL_EXPORTER_OTLP_CERTIFICATE has to name a file in PEM",
        path.display()
    )]
    Certificate {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nobody vouches for anybody.
    #[error(
        "the endpoint is https and no certificate authority is known: install ca-certificates, or name a file with \
         OTEL_EXPORTER_OTLP_CERTIFICATE"
    )]
    NoAuthorities,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls {
        #[source]
        source: rustls::Error,
    },
}

/// How a batch ended.
enum Ending {
    Taken(Answer),
    Refused(StatusCode),
    GaveUp(String),
}

/// Between two tries of a batch.
const AGAIN: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
/// How long the last spans have when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(3);

impl Exporter {
    /// An exporter that is not running yet, and the way to it.
    pub(in crate::telemetry) fn new(export: Export, counts: Counts) -> Result<(Self, Outbox), StartError> {
        let tls = if export.endpoint.tls {
            Some(tls::connector(export.certificate.as_deref())?)
        } else {
            None
        };
        let (outbox, inbox) = Outbox::new(export.batch.waiting, counts.clone());
        let exporter = Self {
            export,
            tls,
            inbox,
            counts,
        };
        Ok((exporter, outbox))
    }

    /// Where spans go.
    pub(in crate::telemetry) fn endpoint(&self) -> String {
        self.export.endpoint.to_string()
    }

    /// Sends until `drain` begins, or nobody is left who could finish a span; then what is left, as far as three seconds
    /// from the drain's beginning carry.
    pub(in crate::telemetry) async fn run(self, drain: Drain) {
        let Self {
            export,
            tls,
            mut inbox,
            counts,
        } = self;
        let client = Client::new(export.endpoint, export.headers, export.timeout, tls, drain.clone());
        let mut sending = Sending {
            client,
            resource: export.resource,
            patience: export.batch.patience,
            drain: drain.clone(),
        };
        let mut too_late = pin!(async {
            drain.begun().await;
            sleep(LAST_WORDS).await;
        });
        let mut spans = Vec::new();
        loop {
            let last = gather(&mut inbox, &mut spans, export.batch, &drain).await;
            if !spans.is_empty() {
                tokio::select! {
                    ending = sending.send(&spans) => count(&counts, &ending, spans.len()),
                    () = &mut too_late => {
                        let left = spans.len() + inbox.len();
                        counts.lost(left as u64, Loss::Shutdown, "the collector did not take the last spans in time");
                        return;
                    }
                }
                spans.clear();
            }
            if last {
                return;
            }
        }
    }
}

/// Fills a batch; says whether it is the last.
async fn gather(inbox: &mut mpsc::Receiver<Span>, spans: &mut Vec<Span>, batch: Batch, drain: &Drain) -> bool {
    let first = tokio::select! {
        biased;
        span = inbox.recv() => span,
        () = drain.begun() => None,
    };
    let Some(first) = first else {
        return true;
    };
    spans.push(first);
    let full = Instant::now() + batch.delay;
    while spans.len() < batch.size {
        let room = batch.size - spans.len();
        let came = tokio::select! {
            biased;
            came = inbox.recv_many(spans, room) => came,
            () = drain.begun() => break,
            () = tokio::time::sleep_until(full) => break,
        };
        if came == 0 {
            break;
        }
    }
    false
}

fn count(counts: &Counts, ending: &Ending, spans: usize) {
    let all = spans as u64;
    match ending {
        Ending::Taken(answer) => {
            let (rejected, why) = message::rejected(&answer.body).unwrap_or_default();
            let rejected = rejected.min(all);
            counts.exported(spans - usize::try_from(rejected).unwrap_or(spans));
            counts.lost(rejected, Loss::Refused, &why);
        }
        Ending::Refused(status) => {
            counts.lost(all, Loss::Refused, &format!("the collector answered {status}"));
        }
        Ending::GaveUp(why) => counts.lost(all, Loss::Unreachable, why),
    }
}

/// What is needed to send a batch.
struct Sending {
    client: Client,
    resource: Vec<(String, String)>,
    patience: Duration,
    drain: Drain,
}

impl Sending {
    /// Sends a batch, again while the collector asks for that or is not there, until its patience ends or the process
    /// does: then it is tried once more.
    async fn send(&mut self, spans: &[Span]) -> Ending {
        let body = message::request(&self.resource, spans);
        let until = Instant::now() + self.patience;
        let mut again = AGAIN.steps();
        loop {
            let last = self.drain.is_begun();
            let (why, after) = match self.client.post(&body).await {
                Ok(answer) if answer.status.is_success() => return Ending::Taken(answer),
                Ok(answer) if passes(answer.status) => {
                    (format!("the collector answered {}", answer.status), answer.retry_after)
                }
                Ok(answer) => return Ending::Refused(answer.status),
                Err(error) => (in_full(&error), None),
            };
            let wait = again.failed(after);
            let left = until.saturating_duration_since(Instant::now());
            if last || wait >= left {
                return Ending::GaveUp(why);
            }
            debug!(spans = spans.len(), error = why, "spans are sent again");
            // Whichever comes first.
            let _ = timeout(wait, self.drain.begun()).await;
        }
    }
}

impl StartError {
    /// What is behind it.
    pub(in crate::telemetry) fn cause(&self) -> Option<String> {
        std::error::Error::source(self).map(in_full)
    }
}

/// Whether a status says that the same may be taken later.
fn passes(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}
