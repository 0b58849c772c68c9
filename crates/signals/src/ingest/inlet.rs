//! How what is no stream of lines meets the sorter: messages of other protocols become lines, and go the way of lines.
//!
//! The one rule: a line that is made here is read as if it had come, by the same reader and with the same limits.

use std::{collections::BTreeMap, sync::Arc};

use wire::signal::{Line, Wrong};

use super::{Draft, sorter::Sorter, wrongs::Wrongs};
use crate::hub::Hub;

/// Takes the lines that are made of one sender's messages.
///
/// [`begin`](Self::begin), then [`take`](Self::take) for each line, then [`flush`](Self::flush), which waits where a backend
/// holds senders back. Nothing counts before the flush; [`forget`](Self::forget) leaves no trace.
#[derive(Debug)]
pub(super) struct Inlet {
    sorter: Sorter,
    wrongs: Wrongs,
    /// Wrong lines since the flush before.
    pending: BTreeMap<Wrong, usize>,
    line: Vec<u8>,
}

impl Inlet {
    /// For the messages of `peer`, a name for the log.
    pub(super) fn new(hub: &Arc<Hub>, peer: String) -> Self {
        Self {
            sorter: Sorter::new(hub),
            wrongs: Wrongs::new(hub, peer),
            pending: BTreeMap::new(),
            line: Vec::new(),
        }
    }

    /// Something has come.
    pub(super) fn begin(&mut self) {
        self.sorter.begin(0);
    }

    /// A line; says how many bytes it has.
    ///
    /// # Errors
    /// It is of no use, and will be counted as that.
    pub(super) fn take(&mut self, draft: &Draft<'_>) -> Result<usize, Wrong> {
        self.line.clear();
        draft.write(&mut self.line);
        let read = Line::read(&self.line).and_then(|line| match line {
            Line::Data(record) => Ok(record),
            Line::Control(_) => Err(Wrong::MissingType),
        });
        match read {
            Ok(record) => self.sorter.take(&self.line, &record),
            Err(wrong) => {
                self.wrong(wrong);
                return Err(wrong);
            }
        }
        let bytes = self.line.len();
        if self.line.capacity() > KEPT {
            self.line = Vec::new();
        }
        Ok(bytes)
    }

    /// A message that no line can be made of.
    pub(super) fn wrong(&mut self, wrong: Wrong) {
        *self.pending.entry(wrong).or_default() += 1;
    }

    /// Waits until none of the backends that the lines go to would hold the first of them back.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub(super) async fn room(&self) {
        self.sorter.room().await;
    }

    /// Hands over what was taken; says how many lines found no place at a backend.
    ///
    /// # Cancellation
    /// What is not handed over yet is dropped, and counted as that.
    pub(super) async fn flush(&mut self) -> usize {
        for (wrong, lines) in std::mem::take(&mut self.pending) {
            self.wrongs.note(wrong, lines);
        }
        self.sorter.flush().await
    }

    /// Takes nothing of what came since the flush before: the sender is told, and will send it again.
    pub(super) fn forget(&mut self) {
        self.pending.clear();
        self.sorter.forget();
    }
}

/// What one long line took is not kept for ever.
const KEPT: usize = 16 * 1024;
