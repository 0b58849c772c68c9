//! OpenTelemetry: lines as logs, metrics and traces, to a collector.
//!
//! ```text
//! line: what a line is  ->  spans: both lines of a span  ->  request: one message a signal  ->  post: HTTP or gRPC
//! ```
//!
//! A batch goes in up to three requests; what one of them settled is not sent again for the sake of another.

mod ids;
mod line;
mod post;
mod request;
mod spans;
mod value;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use tracing::{info, warn};

use self::{
    line::Piece,
    post::Post,
    request::{Ready, Signal},
    spans::{Key, OpenSpans},
};
use super::{Capacity, Failure, Refusal, Sink, client::LARGEST, progress::Progress};
use crate::{batch::Batch, config::Otlp as Config};

/// Exports batches.
#[derive(Debug)]
pub(super) struct Otlp {
    post: Post,
    resource: BTreeMap<String, String>,
    lines: usize,
    spans: OpenSpans,
    progress: Progress,
}

/// A line that can be sent.
struct Outgoing {
    place: usize,
    source: Arc<str>,
    ready: Ready,
    /// Of a span.
    key: Option<Key>,
}

impl Otlp {
    pub(super) fn new(config: &Config, lines: usize) -> Result<Self, String> {
        Ok(Self {
            post: Post::new(config)?,
            resource: config.resource.clone(),
            lines,
            spans: OpenSpans::new(config.max_open_spans.get()),
            progress: Progress::default(),
        })
    }

    /// Reads the lines that are still open, and keeps the spans whose ends have not come. Reading one again, as a part of
    /// another batch, changes nothing.
    fn sort(&mut self, batch: &Batch) -> Vec<Outgoing> {
        let (mut outgoing, mut kept) = (Vec::new(), Vec::new());
        for (place, (parcel, line)) in batch.entries().enumerate() {
            if self.progress.open().binary_search(&place).is_err() {
                continue;
            }
            let (ready, key) = match line::read(line, parcel.received) {
                Piece::Log(record) => (Ready::Log(record), None),
                Piece::Point { name, unit, point } => (Ready::Point { name, unit, point }, None),
                Piece::Part(key, part) => {
                    let part = self.spans.merged(&key, part);
                    let Some(span) = part.finished(&key) else {
                        self.spans.keep(key, part);
                        kept.push(place);
                        continue;
                    };
                    (Ready::Span(Box::new(span)), Some(key))
                }
            };
            outgoing.push(Outgoing {
                place,
                source: Arc::clone(&parcel.source),
                ready,
                key,
            });
        }
        self.progress.taken(&kept);
        outgoing
    }

    /// Sends all lines of one signal, in as many requests as it takes.
    async fn send(&mut self, signal: Signal, all: &[Outgoing], batch: &Batch) -> Result<(), Failure> {
        let mut rest: Vec<&Outgoing> = all.iter().filter(|line| line.ready.signal() == signal).collect();
        let mut at_once = usize::MAX;
        while !rest.is_empty() {
            let some = &rest[..rest.len().min(at_once)];
            let places: Vec<usize> = some.iter().map(|line| line.place).collect();
            let pieces = some.iter().map(|line| (&*line.source, &line.ready));
            let message = request::encode(signal, pieces, &self.resource);
            match self.post.send(signal, message).await {
                Ok(None) => self.progress.taken(&places),
                Ok(Some((rejected, why))) => self.took_a_part(&places, rejected, why),
                Err(Failure::TooLarge { why }) if places.len() == batch.len() => {
                    return Err(Failure::TooLarge { why });
                }
                Err(Failure::TooLarge { .. }) if places.len() > 1 => {
                    at_once = places.len().div_ceil(2);
                    continue;
                }
                Err(Failure::TooLarge { why } | Failure::Refused { why }) => {
                    self.progress.refused(places.clone(), &why);
                }
                Err(away) => return Err(away),
            }
            for key in rest.drain(..places.len()).filter_map(|line| line.key.as_ref()) {
                self.spans.sent(key);
            }
        }
        Ok(())
    }

    /// The collector took the request, and says that it left some of it out; not which.
    fn took_a_part(&mut self, places: &[usize], rejected: usize, why: String) {
        if rejected == 0 {
            warn!(why, "the collector took all lines, with a warning");
            self.progress.taken(places);
        } else if rejected >= places.len() {
            self.progress.refused(places.to_vec(), &why);
        } else {
            self.progress.taken(places);
            self.progress.refused_unnamed(rejected, why);
        }
    }
}

#[async_trait]
impl Sink for Otlp {
    fn capacity(&self) -> Capacity {
        Capacity {
            lines: self.lines,
            bytes: LARGEST,
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        self.progress.resume(batch);
        let outgoing = self.sort(batch);
        for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            self.send(signal, &outgoing, batch).await?;
        }
        Ok(self.progress.finish())
    }

    async fn close(&mut self) {
        let (open, forgotten) = self.spans.counts();
        if forgotten > 0 {
            warn!(
                spans = forgotten,
                "spans were forgotten before their ends came: raise `max_open_spans` of the backend"
            );
        }
        if open > 0 {
            info!(spans = open, "spans without an end are not sent");
        }
    }
}

#[cfg(test)]
mod tests;
