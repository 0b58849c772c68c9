//! Where lines go: each backend takes batches, and says what became of them.

mod blackhole;
mod dead_letters;
mod file;
mod http;
mod postgres;
mod s3;
mod sqlite;
mod stdout;
mod template;

use std::{path::Path, time::Duration};

use async_trait::async_trait;

pub(crate) use dead_letters::DeadLetters;
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

/// Lines of a batch, by their places, that will never be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) lines: Vec<usize>,
    pub(crate) why: String,
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

/// Makes the backend of a configuration; `lines` go in one request, and relative paths begin in `folder`.
pub(crate) fn open(kind: &Kind, lines: usize, folder: &Path) -> Result<Box<dyn Sink>, String> {
    Ok(match kind {
        Kind::File(config) => Box::new(file::Files::new(config, folder)?),
        Kind::Stdout(_) => Box::new(stdout::Stdout),
        Kind::Http(config) => Box::new(http::Requests::new(config, lines)?),
        Kind::Sqlite(config) => Box::new(sqlite::Rows::new(config, folder)),
        Kind::Postgres(config) => Box::new(postgres::Rows::new(config, folder)?),
        Kind::S3(config) => Box::new(s3::Objects::new(config)?),
        Kind::Blackhole => Box::new(blackhole::Blackhole),
    })
}
