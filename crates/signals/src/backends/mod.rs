//! Where lines go: each backend takes batches, and says what became of them.

mod blackhole;
mod client;
mod dead_letters;
mod elasticsearch;
mod file;
mod http;
mod loki;
mod otlp;
mod postgres;
mod progress;
mod prometheus;
mod s3;
mod sqlite;
mod stdout;
mod syslog;
mod template;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use chassis::lifecycle::Drain;

pub(crate) use dead_letters::DeadLetters;
pub(crate) use elasticsearch::check_index;
pub(crate) use prometheus::Shelf;
pub(crate) use template::Template;

use crate::{batch::Batch, config::Kind};

/// Takes batches.
#[async_trait]
pub(crate) trait Sink: Send {
    /// How much it takes at once.
    fn capacity(&self) -> Capacity;

    /// Delivers a batch; gives back the lines that were refused for good while the others went.
    ///
    /// # Errors
    /// Nothing of the batch counts as delivered.
    ///
    /// # Cancellation
    /// Dropped only when the process ends: whether the batch went is not known then.
    async fn deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Failure>;

    /// Brings everything to its end.
    async fn close(&mut self) {}
}

/// How much a backend takes at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
}

/// Lines of a batch, by their places, that will never be taken. A place that the batch does not have is a line that is not
/// known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) lines: Vec<usize>,
    pub(crate) why: String,
}

impl Refusal {
    /// So many lines, of which nobody says which they are: they are counted, and stand in no file of dead letters.
    pub(crate) fn unnamed(lines: usize, why: String) -> Self {
        Self {
            lines: vec![usize::MAX; lines],
            why,
        }
    }
}

/// Why a batch was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Not now.
    Away { why: String, after: Option<Duration> },
    /// Not so much at once.
    TooLarge { why: String },
    /// Never.
    Refused { why: String },
}

/// A line's time in nanoseconds; what is no time of the years that anybody counts is the nearest that is.
pub(crate) fn nanos(millis: f64) -> i128 {
    #[expect(clippy::cast_possible_truncation, reason = "it is within what an i64 holds")]
    let micros = (millis * 1e3).round().clamp(0.0, LAST_MICROS) as i128;
    micros * 1000
}

/// What 64 bits of nanoseconds hold.
const LAST_MICROS: f64 = 9.2e15;

/// What a backend is opened in.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// The backend's name.
    pub(crate) name: &'a str,
    /// How many lines go in one request.
    pub(crate) lines: usize,
    /// Where relative paths begin.
    pub(crate) folder: &'a Path,
    /// Where series are shown.
    pub(crate) shelf: &'a Shelf,
    /// For tasks beside the backend's own.
    pub(crate) drain: &'a Drain,
}

/// Makes the backend of a configuration.
pub(crate) fn open(kind: &Kind, place: &Surroundings<'_>) -> Result<Box<dyn Sink>, String> {
    let Surroundings { lines, folder, .. } = *place;
    Ok(match kind {
        Kind::File(config) => Box::new(file::Files::new(config, folder)?),
        Kind::Stdout(_) => Box::new(stdout::Stdout),
        Kind::Http(config) => Box::new(http::Requests::new(config, lines)?),
        Kind::Loki(config) => Box::new(loki::Loki::new(config, lines)?),
        Kind::Elasticsearch(config) => Box::new(elasticsearch::Elasticsearch::new(config, lines)?),
        Kind::Otlp(config) => Box::new(otlp::Otlp::new(config, lines)?),
        Kind::Prometheus(config) => Box::new(prometheus::Prometheus::new(config, place)?),
        Kind::Syslog(config) => Box::new(syslog::Messages::new(config, lines, folder)?),
        Kind::Sqlite(config) => Box::new(sqlite::Rows::new(config, folder)),
        Kind::Postgres(config) => Box::new(postgres::Rows::new(config, folder)?),
        Kind::S3(config) => Box::new(s3::Objects::new(config)?),
        Kind::Blackhole => Box::new(blackhole::Blackhole),
    })
}
