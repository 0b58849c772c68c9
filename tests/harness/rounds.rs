//! Rounds of a fault test: their number, their seeds, and how to repeat one.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    ops::RangeInclusive,
    thread,
    time::Duration,
};

/// One round.
pub(crate) struct Round {
    pub(crate) number: usize,
    pub(crate) seed: u64,
    random: fastrand::Rng,
}

/// Runs a test's rounds: 10, or as many as `OUTRIGGER_FAULT_ROUNDS` says, or the one that `OUTRIGGER_FAULT_SEED` gives.
pub(crate) fn rounds(test: impl FnMut(&mut Round)) {
    rounds_of(10, 1, test);
}

/// The same for a test whose rounds take long: `few`, or what `OUTRIGGER_FAULT_ROUNDS` says, divided by `share`.
pub(crate) fn rounds_of(few: u64, share: u64, mut test: impl FnMut(&mut Round)) {
    if let Some(seed) = setting("OUTRIGGER_FAULT_SEED") {
        return test(&mut Round::new(1, seed));
    }
    let count = setting("OUTRIGGER_FAULT_ROUNDS").map_or(few, |count| count.div_ceil(share));
    for number in 1..=usize::try_from(count).expect("a number of rounds") {
        let seed = RandomState::new().build_hasher().finish();
        test(&mut Round::new(number, seed));
    }
}

impl Round {
    fn new(number: usize, seed: u64) -> Self {
        eprintln!("round {number}: OUTRIGGER_FAULT_SEED={seed}");
        Self {
            number,
            seed,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// A number within a range.
    pub(crate) fn number_in(&mut self, range: RangeInclusive<usize>) -> usize {
        self.random.usize(range)
    }

    /// Lets a random moment pass, so that the fault does not always meet the same state: it is the fault's time that is
    /// random, nothing waits for anything.
    pub(crate) fn moment(&mut self) {
        thread::sleep(Duration::from_micros(self.random.u64(0..8_000)));
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "round {} failed; repeat it with OUTRIGGER_FAULT_SEED={}",
                self.number, self.seed
            );
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var_os(name)?;
    let number = value.to_str().and_then(|value| value.parse().ok());
    Some(number.unwrap_or_else(|| panic!("{name} is no number")))
}
