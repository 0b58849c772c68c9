//! How long to wait before trying again: doubling, with jitter.
//!
//! Pure: no clock, and chance is handed in. [`Steps`] counts the failures for those who do not count themselves.

use std::time::Duration;

/// Delays that double from `first` to `max`, spread so that many who failed together do not come back together.
///
/// A delay is never shorter than `first` and never longer than `max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The delay after the first failure, before jitter.
    pub first: Duration,
    /// The longest delay; if it is below `first` it is the only one.
    pub max: Duration,
    /// How far delays are spread, as a share of the delay, `0.0..=1.0`: 0 is none.
    pub jitter: f64,
}

impl Backoff {
    /// From `first` to `max`, spread by a quarter.
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            jitter: 0.25,
        }
    }

    /// Sets how far delays are spread; what is outside `0.0..=1.0` is taken as the nearest bound.
    pub const fn jitter(mut self, share: f64) -> Self {
        self.jitter = share;
        self
    }

    /// The delay after failure number `attempt` (1-based), with `random` in `0.0..1.0` drawn by the caller.
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let spread = share(self.jitter);
        let doublings = attempt.saturating_sub(1).min(31);
        let step = self.first.saturating_mul(1 << doublings);
        // The last step leaves room below `max`, so that jitter works there as well.
        let roof = seconds(self.max.as_secs_f64() / (1.0 + spread)).min(self.max);
        let base = step.min(roof).max(self.first.min(self.max));
        let longer = base.as_secs_f64() * spread * share(random);
        base.saturating_add(seconds(longer)).min(self.max)
    }

    /// A counter of failures in a row that draws its own chance.
    pub fn steps(self) -> Steps {
        Steps {
            backoff: self,
            failures: 0,
        }
    }
}

impl Default for Backoff {
    /// 1 s doubling to 60 s.
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_mins(1))
    }
}

/// A [`Backoff`] that counts failures in a row.
#[derive(Debug, Clone)]
pub struct Steps {
    backoff: Backoff,
    failures: u32,
}

impl Steps {
    /// Counts a failure and says how long to wait; `after` is the other side's own wish and can only raise it.
    pub fn failed(&mut self, after: Option<Duration>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let delay = self.backoff.delay(self.failures, fastrand::f64());
        delay.max(after.unwrap_or_default())
    }

    /// Begins again from the first delay.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// The longest duration there is where `value` is beyond it.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::MAX)
}

/// `value` as a share of one; what is not a number is none.
fn share(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn without_jitter_delays_double_up_to_the_longest() {
        let backoff = Backoff::new(SECOND, 10 * SECOND).jitter(0.0);
        let delays: Vec<u64> = (1..=6).map(|attempt| backoff.delay(attempt, 0.9).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn jitter_spreads_the_longest_delay_too() {
        let backoff = Backoff::new(SECOND, 60 * SECOND);
        assert_eq!(backoff.delay(30, 0.0), 48 * SECOND);
        assert!(backoff.delay(30, 0.999) > 59 * SECOND);
    }

    #[test]
    fn a_success_begins_again_from_the_first_delay() {
        let mut steps = Backoff::new(SECOND, 60 * SECOND).jitter(0.0).steps();
        assert_eq!((steps.failed(None), steps.failed(None)), (SECOND, 2 * SECOND));
        steps.succeeded();
        assert_eq!(steps.failures(), 0);
        assert_eq!(steps.failed(None), SECOND);
    }

    #[test]
    fn a_wish_of_the_other_side_raises_the_delay_and_never_lowers_it() {
        let mut steps = Backoff::new(2 * SECOND, 2 * SECOND).steps();
        assert_eq!(steps.failed(Some(90 * SECOND)), 90 * SECOND);
        assert_eq!(steps.failed(Some(SECOND)), 2 * SECOND);
    }

    fn any_duration() -> impl Strategy<Value = Duration> {
        (
            prop_oneof![Just(0), 0_u64..1000, any::<u64>(), Just(u64::MAX)],
            0_u32..1_000_000_000,
        )
            .prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
    }

    proptest! {
        #[test]
        fn a_delay_is_never_below_the_first_nor_above_the_longest(
            first in any_duration(),
            max in any_duration(),
            jitter in any::<f64>(),
            attempt in any::<u32>(),
            random in any::<f64>(),
        ) {
            let delay = Backoff { first, max, jitter }.delay(attempt, random);
            prop_assert!(delay >= first.min(max) && delay <= max, "{delay:?}");
        }

        #[test]
        fn a_later_attempt_never_waits_less_with_the_same_luck(
            first in 1_u64..1_000_000_000, max in 1_u64..u64::MAX, jitter in 0.0..=1.0, attempt in 1_u32..100, random in 0.0..1.0,
        ) {
            let backoff = Backoff { first: Duration::from_nanos(first), max: Duration::from_nanos(max), jitter };
            prop_assert!(backoff.delay(attempt + 1, random) >= backoff.delay(attempt, random));
        }

        #[test]
        fn chance_decides_within_the_spread(jitter in 0.01..=1.0, random in 0.0..1.0) {
            let backoff = Backoff::new(SECOND, 3600 * SECOND).jitter(jitter);
            let expected = 4.0 * (1.0 + jitter * random);
            prop_assert!((backoff.delay(3, random).as_secs_f64() - expected).abs() < 1e-6);
        }
    }
}
