//! What a case is, and what all of them stand on.

use std::{path::PathBuf, thread, time::Duration};

use nix::unistd::sync;

use crate::{pin::Pins, report::Row};

/// One measurement, repeated in rounds; it may fill several rows.
pub trait Case {
    /// Its rows' names.
    fn names(&self) -> &[&'static str];

    /// Measures once, and says what it found.
    fn round(&mut self, stage: &Stage, round: u32) -> anyhow::Result<String>;

    /// The medians of all rounds so far.
    fn rows(&self) -> Vec<Row>;
}

/// What all cases share.
#[derive(Debug)]
pub struct Stage {
    /// Where their folders are made.
    pub folder: PathBuf,
    /// Which processor each side of an exchange runs on.
    pub pins: Pins,
}

impl Stage {
    /// Temporary folders are made in `folder`.
    pub fn new(folder: PathBuf, pins: Pins) -> Self {
        Self { folder, pins }
    }
}

/// Lets the disk finish what was written and deleted before, and processes that have just started come to rest.
pub fn rest() {
    sync();
    thread::sleep(REST);
}

/// A handler is found plain within it, too.
const REST: Duration = Duration::from_millis(200);

/// Sides in their order, each first in its turn.
pub fn in_turn<S: Clone>(sides: &[S], round: u32) -> Vec<S> {
    let turn = usize::try_from(round).unwrap_or(0) % sides.len().max(1);
    let mut sides = sides.to_vec();
    sides.rotate_left(turn);
    sides
}

/// Does both, the first one first in even rounds and last in odd ones.
pub fn interleave<A, B>(
    round: u32,
    first: impl FnOnce() -> anyhow::Result<A>,
    second: impl FnOnce() -> anyhow::Result<B>,
) -> anyhow::Result<(A, B)> {
    if round.is_multiple_of(2) {
        let first = first()?;
        Ok((first, second()?))
    } else {
        let second = second()?;
        Ok((first()?, second))
    }
}
