//! Rows of a table in `PostgreSQL`, with `TimescaleDB` or without.
//!
//! The one rule: a batch is one transaction. Rows that the server refuses are found by halving what was copied, within
//! that transaction, and left out of it; the others go.

mod copy;
mod link;

use std::{ops::Range, path::Path, time::Duration};

use async_trait::async_trait;
use tokio_postgres::Client;

use super::{
    Capacity, Failure, Refusal, Sink,
    sqlite::{quoted, refuse},
};
use crate::{batch::Batch, config};
use copy::Copied;
use link::{Link, Target};

/// Copies lines into a table.
pub(super) struct Rows {
    target: Target,
    timeout: Duration,
    copy: String,
    /// `None` where there is no connection, or it was in trouble.
    link: Option<Link>,
}

/// Lines that are copied together, in bytes.
const BATCH: usize = 4 << 20;

impl Rows {
    pub(super) fn new(config: &config::Postgres, folder: &Path) -> Result<Self, String> {
        let target = Target::new(config, folder)?;
        let copy = format!(
            "COPY {}(received, ts, source, type, trace, span, parent, data) FROM STDIN",
            quoted(&config.table)
        );
        Ok(Self {
            target,
            timeout: config.timeout.get(),
            copy,
            link: None,
        })
    }

    async fn try_deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, String> {
        if self.link.is_none() {
            self.link = Some(self.target.connect().await?);
        }
        let link = self.link.as_mut().expect("it was just made");
        let (mut rows, mut refusals) = (Vec::new(), Vec::new());
        for (index, (parcel, line)) in batch.entries().enumerate() {
            match copy::row(parcel.received, line) {
                Ok(text) => rows.push((index, text)),
                Err(why) => refuse(&mut refusals, index, why),
            }
        }
        let copy = &self.copy;
        let work = |client| async move {
            write(client, copy, &rows, &mut refusals).await?;
            Ok(refusals)
        };
        link.carry(work).await
    }
}

/// Copies all rows that the server takes, in one transaction.
async fn write(
    client: &Client,
    sql: &str,
    rows: &[(usize, Vec<u8>)],
    refusals: &mut Vec<Refusal>,
) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("BEGIN").await?;
    let mut parts: Vec<Range<usize>> = Vec::new();
    if !rows.is_empty() {
        parts.push(0..rows.len());
    }
    while let Some(part) = parts.pop() {
        client.batch_execute("SAVEPOINT part").await?;
        let why = match copy::copy(client, sql, &rows[part.clone()]).await? {
            Copied::All => {
                client.batch_execute("RELEASE part").await?;
                continue;
            }
            Copied::Refused(why) => why,
        };
        client.batch_execute("ROLLBACK TO part; RELEASE part").await?;
        if part.len() == 1 {
            refuse(refusals, rows[part.start].0, why);
            continue;
        }
        let middle = part.start + part.len() / 2;
        parts.extend([middle..part.end, part.start..middle]);
    }
    client.batch_execute("COMMIT").await
}

#[async_trait]
impl Sink for Rows {
    fn capacity(&self) -> Capacity {
        Capacity {
            lines: usize::MAX,
            bytes: BATCH,
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        let timeout = self.timeout;
        let delivered = if timeout.is_zero() {
            self.try_deliver(batch).await
        } else {
            let delivered = tokio::time::timeout(timeout, self.try_deliver(batch)).await;
            delivered.unwrap_or_else(|_| Err(format!("the server took longer than {timeout:?}")))
        };
        delivered.map_err(|why| {
            // Whatever is wrong with it, the next one is fresh; what it had begun is undone with it.
            self.link = None;
            Failure::Away { why, after: None }
        })
    }

    async fn close(&mut self) {
        self.link = None;
    }
}
