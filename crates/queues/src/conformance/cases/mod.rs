//! All cases, by theme. A case's name is the promise that it tests.

use std::{future::Future, pin::Pin, sync::Arc};

use super::stage::{Ended, Stage};
use crate::{Promises, Queue};

mod basics;
mod counters;
mod crash;
mod credit;
mod delay;
mod drain;
mod figures;
mod forward;
mod lease;
mod look;
mod retention;
mod settle;
mod volume;

/// One promise and the way to test it.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Whether a transport that promises this is to be tested.
    pub(super) applies: fn(&Promises) -> bool,
    /// How many times the harness's limit it may take.
    pub(super) weight: u32,
    pub(super) run: Run,
}

type Run = for<'a> fn(&'a Stage<'a>, Arc<dyn Queue>) -> Pin<Box<dyn Future<Output = Ended> + Send + 'a>>;

impl Case {
    const fn new(name: &'static str, run: Run) -> Self {
        Self {
            name,
            applies: |_| true,
            weight: 1,
            run,
        }
    }

    const fn where_promised(self, applies: fn(&Promises) -> bool) -> Self {
        Self { applies, ..self }
    }

    const fn heavy(self) -> Self {
        Self { weight: 6, ..self }
    }
}

pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    [
        basics::CASES,
        credit::CASES,
        settle::CASES,
        counters::CASES,
        forward::CASES,
        delay::CASES,
        figures::CASES,
        look::CASES,
        retention::CASES,
        drain::CASES,
        volume::CASES,
        lease::CASES,
        crash::CASES,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn no_two_cases_have_the_same_name() {
        let names: Vec<_> = super::all().map(|case| case.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
