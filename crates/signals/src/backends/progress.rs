//! What became of the lines of a batch that goes in parts.
//!
//! The one rule: what is settled is not sent again, however often the batch is tried.

use super::Refusal;
use crate::batch::Batch;

/// The batch that is on its way, and the places of its lines that are still open.
#[derive(Debug, Default)]
pub(super) struct Progress {
    batch: Option<Batch>,
    open: Vec<usize>,
    refusals: Vec<Refusal>,
}

impl Progress {
    /// Goes on with a batch where it is the one of the last attempt, else begins it.
    pub(super) fn resume(&mut self, batch: &Batch) {
        if self.batch.as_ref().is_some_and(|known| known.is(batch)) {
            return;
        }
        *self = Self {
            batch: Some(batch.clone()),
            open: (0..batch.len()).collect(),
            refusals: Vec::new(),
        };
    }

    /// The places of lines that are not settled, in their order.
    pub(super) fn open(&self) -> &[usize] {
        &self.open
    }

    /// These lines are where they were to go.
    pub(super) fn taken(&mut self, places: &[usize]) {
        self.open.retain(|place| places.binary_search(place).is_err());
    }

    /// These lines will never be taken.
    pub(super) fn refused(&mut self, places: Vec<usize>, why: &str) {
        self.taken(&places);
        match self.refusals.iter_mut().find(|refusal| refusal.why == why) {
            Some(refusal) => refusal.lines.extend(places),
            None => self.refusals.push(Refusal {
                lines: places,
                why: why.to_owned(),
            }),
        }
    }

    /// Of the lines that were taken, some were not, and it is not known which.
    pub(super) fn refused_unnamed(&mut self, lines: usize, why: String) {
        self.refusals.push(Refusal::unnamed(lines, why));
    }

    /// The batch has left.
    pub(super) fn finish(&mut self) -> Vec<Refusal> {
        std::mem::take(self).refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::testing::batch;

    #[test]
    fn what_is_settled_stays_so_for_its_own_batch_alone() {
        let (first, alike) = (batch("a", &["1", "2", "3"]), batch("a", &["1", "2", "3"]));
        let mut progress = Progress::default();
        progress.resume(&first);
        progress.taken(&[1]);
        progress.refused(vec![0], "no");
        progress.resume(&first);
        assert_eq!(progress.open(), [2]);
        progress.resume(&alike);
        assert_eq!(progress.open(), [0, 1, 2]);
        assert_eq!(progress.finish(), []);
        let [half, _] = alike.clone().halves();
        progress.resume(&alike);
        progress.resume(&half);
        assert_eq!(progress.open(), [0, 1]);
    }
}
