//! How many requests may be tried again: a share of those of the last ten seconds. Pure, the time is handed in.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::config::Share;

/// Counts requests and repeats, second by second.
#[derive(Debug)]
pub(super) struct Budget {
    share: Share,
    begun: Instant,
    seconds: VecDeque<Second>,
}

#[derive(Debug)]
struct Second {
    number: u64,
    requests: u64,
    repeats: u64,
}

/// How far back is looked.
const WINDOW: u64 = 10;
/// So many repeats are allowed in any window.
const LEAST: u64 = 3;

impl Budget {
    pub(super) fn new(share: Share, now: Instant) -> Self {
        Self {
            share,
            begun: now,
            seconds: VecDeque::new(),
        }
    }

    /// A request came.
    pub(super) fn request(&mut self, now: Instant) {
        self.second(now).requests += 1;
    }

    /// Whether one may be tried again; if so it is counted.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        self.second(now);
        let sum = |count: fn(&Second) -> u64| self.seconds.iter().map(count).sum::<u64>();
        let (requests, repeats) = (sum(|second| second.requests), sum(|second| second.repeats));
        let allowed = repeats < self.share.of(requests).max(LEAST);
        if allowed {
            self.second(now).repeats += 1;
        }
        allowed
    }

    /// The second that it is, after those that are over were forgotten.
    fn second(&mut self, now: Instant) -> &mut Second {
        let number = now.saturating_duration_since(self.begun).as_secs();
        while self
            .seconds
            .front()
            .is_some_and(|second| second.number + WINDOW <= number)
        {
            self.seconds.pop_front();
        }
        if self.seconds.back().is_none_or(|second| second.number < number) {
            self.seconds.push_back(Second {
                number,
                requests: 0,
                repeats: 0,
            });
        }
        self.seconds
            .back_mut()
            .expect("one was just added where there was none")
    }
}

/// The longest wait between two tries.
pub(super) const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn three_repeats_in_ten_seconds_are_always_allowed() {
        let begun = Instant::now();
        let mut budget = Budget::new(Share::percent(20), begun);
        budget.request(begun);
        let spent: Vec<bool> = (0..4).map(|_| budget.spend(begun)).collect();
        assert_eq!(spent, [true, true, true, false]);
        assert!(!budget.spend(begun + Duration::from_secs(9)));
        assert!(budget.spend(begun + Duration::from_secs(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_that_it_is_a_share_of_the_requests() {
        let now = Instant::now();
        let mut budget = Budget::new(Share::percent(20), now);
        for _ in 0..100 {
            budget.request(now);
        }
        assert_eq!((0..100).filter(|_| budget.spend(now)).count(), 20);
    }
}
