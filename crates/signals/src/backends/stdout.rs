//! The standard output.

use std::io::{self, Write};

use async_trait::async_trait;
use tokio::task::spawn_blocking;

use super::{Capacity, Failure, Refusal, Sink};
use crate::batch::Batch;

/// Writes lines as they came.
#[derive(Debug)]
pub(super) struct Stdout;

#[async_trait]
impl Sink for Stdout {
    fn capacity(&self) -> Capacity {
        Capacity {
            lines: usize::MAX,
            bytes: 1 << 20,
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        let batch = batch.clone();
        let written = spawn_blocking(move || {
            let mut out = io::stdout().lock();
            batch
                .parcels()
                .iter()
                .try_for_each(|parcel| out.write_all(&parcel.text))?;
            out.flush()
        });
        match written.await {
            Ok(Ok(())) => Ok(Vec::new()),
            // Nobody reads it any more: trying again would write lines twice.
            Ok(Err(error)) => Err(Failure::Refused {
                why: format!("the standard output cannot be written: {error}"),
            }),
            Err(error) => Err(Failure::Refused { why: error.to_string() }),
        }
    }
}
