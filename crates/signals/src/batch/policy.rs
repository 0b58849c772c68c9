//! What becomes of a parcel that comes to a buffer, whichever way the buffer keeps it.
//!
//! The one rule: what waits, and what is being delivered, never exceeds the limits, in lines and in bytes. Who comes with
//! more is held back or loses it, as the backend has it; a source with more than its share is held back first.

use std::{sync::Arc, time::Instant};

use super::Parcel;
use crate::config::WhenFull;

/// How parcels are kept, as far as the policies look at it.
pub(super) trait Shelf {
    type Error;

    /// Lines that wait or are under way.
    fn lines(&self) -> usize;

    /// Bytes that those take.
    fn bytes(&self) -> usize;

    /// What a parcel takes beside its text.
    fn beside(&self, parcel: &Parcel) -> usize;

    /// Lines of a source that wait or are under way.
    fn of_source(&mut self, source: &Arc<str>) -> Result<usize, Self::Error>;

    /// Puts a parcel behind all others; one without lines is passed over.
    fn append(&mut self, parcel: Parcel) -> Result<(), Self::Error>;

    /// Drops lines of the parcel that waits longest: about so many, or all. Says how many; 0 where nothing waits.
    fn drop_oldest(&mut self, lines: Option<usize>) -> Result<usize, Self::Error>;

    /// Drops the newest lines of sources that have more than `share`, but none of `spared`; at most `wanted`. Says how
    /// many.
    fn drop_newest(&mut self, spared: &Arc<str>, share: usize, wanted: usize) -> Result<usize, Self::Error>;
}

/// How much a buffer takes of one parcel, and what it does with the rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) lines: usize,
    pub(super) bytes: usize,
    pub(super) lines_of_source: usize,
    pub(super) policy: WhenFull,
}

/// What a push lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) full: usize,
    pub(crate) sampled: usize,
}

/// How a buffer stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Lines that wait or are under way.
    pub(super) lines: usize,
    /// Lines that wait.
    pub(super) waiting: usize,
    /// Bytes of all of them.
    pub(super) bytes: usize,
    /// Since when the oldest waits; `None` where nothing does.
    pub(super) oldest: Option<Instant>,
}

/// Lays a parcel down as far as the terms allow it. What is left in it then has to wait.
///
/// # Errors
/// Those of the shelf; the parcel still has what was not appended.
pub(super) fn lay<S: Shelf>(shelf: &mut S, terms: &Terms, parcel: &mut Parcel) -> Result<Lost, S::Error> {
    let mut lost = Lost::default();
    match terms.policy {
        WhenFull::Sample => lost.sampled = thin(shelf, terms, parcel),
        WhenFull::DropOldest => lost.full = make_room(shelf, terms, parcel)?,
        WhenFull::Hold | WhenFull::DropNewest => {}
    }
    let mut lines = terms.lines.saturating_sub(shelf.lines());
    let bytes = terms.bytes.saturating_sub(shelf.bytes());
    if terms.policy == WhenFull::Hold {
        lines = lines.min(terms.lines_of_source.saturating_sub(shelf.of_source(&parcel.source)?));
    }
    let beside = shelf.beside(parcel);
    if parcel.lines <= lines && parcel.text.capacity() + beside <= bytes {
        shelf.append(parcel.take_all())?;
        return Ok(lost);
    }
    if let Some(front) = parcel.take_front(lines, bytes.saturating_sub(beside)) {
        shelf.append(front)?;
    }
    if terms.policy == WhenFull::Hold {
        return Ok(lost);
    }
    let own = shelf.of_source(&parcel.source)?;
    let wanted = terms.lines_of_source.saturating_sub(own).min(parcel.lines);
    let ousted = shelf.drop_newest(&parcel.source, terms.lines_of_source, wanted)?;
    lost.full += ousted;
    if let Some(front) = parcel.take_front(ousted, usize::MAX) {
        shelf.append(front)?;
    }
    lost.full += parcel.take_all().lines;
    Ok(lost)
}

/// Drops the oldest lines until the parcel fits, and its own oldest where it never would; says how many.
fn make_room<S: Shelf>(shelf: &mut S, terms: &Terms, parcel: &mut Parcel) -> Result<usize, S::Error> {
    let mut gone = parcel.drop_front(parcel.lines.saturating_sub(terms.lines));
    loop {
        let over = (shelf.lines() + parcel.lines).saturating_sub(terms.lines);
        let bytes = shelf.bytes() + parcel.text.capacity() + shelf.beside(parcel);
        if over == 0 && bytes <= terms.bytes {
            return Ok(gone);
        }
        let dropped = shelf.drop_oldest((over > 0).then_some(over))?;
        if dropped == 0 {
            return Ok(gone);
        }
        gone += dropped;
    }
}

/// Leaves out the more lines the fuller it is; says how many.
fn thin<S: Shelf>(shelf: &S, terms: &Terms, parcel: &mut Parcel) -> usize {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = |used: usize, all: usize| used as f64 / all as f64;
    let full = share(shelf.lines(), terms.lines).max(share(shelf.bytes(), terms.bytes));
    if full <= 0.5 {
        return 0;
    }
    let kept = 2.0 * (1.0 - full);
    let mut thinned = parcel.empty();
    for line in parcel.iter().filter(|_| fastrand::f64() < kept) {
        thinned.push(line);
    }
    let gone = parcel.lines - thinned.lines;
    *parcel = thinned;
    gone
}
