//! Nowhere.

use async_trait::async_trait;

use super::{Capacity, Failure, Refusal, Sink};
use crate::batch::Batch;

/// Forgets everything.
#[derive(Debug)]
pub(super) struct Blackhole;

#[async_trait]
impl Sink for Blackhole {
    fn capacity(&self) -> Capacity {
        Capacity {
            lines: usize::MAX,
            bytes: 1 << 20,
        }
    }

    async fn deliver(&mut self, _: &Batch) -> Result<Vec<Refusal>, Failure> {
        Ok(Vec::new())
    }
}
