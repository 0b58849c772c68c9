//! What waits for a backend: bounded, shared among sources, and given out in batches.

mod buffer;
pub(crate) mod disk;
mod memory;
mod parcel;
mod policy;
mod runner;
#[cfg(test)]
mod tests;

pub(crate) use buffer::{Buffer, Limits};
pub(crate) use disk::Disk;
pub(crate) use parcel::Parcel;
pub(crate) use runner::{Batch, Runner};

#[cfg(test)]
pub(crate) mod testing {
    use super::{Batch, parcel::tests::parcel};

    pub(crate) fn batch(source: &str, lines: &[&str]) -> Batch {
        batch_of(&[(source, lines)])
    }

    pub(crate) fn batch_of(sources: &[(&str, &[&str])]) -> Batch {
        Batch::new(sources.iter().map(|(source, lines)| parcel(source, lines)).collect())
    }
}
