//! In which order the addresses of an upstream are asked. Pure.

use crate::config::Balance;

/// One address, as it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// Requests under way.
    pub(super) pending: usize,
    /// Whether this very request has been there.
    pub(super) was_tried: bool,
}

/// The places of the candidates, the best one first: those that were not tried yet before all others. `turn` goes up with every
/// request.
pub(super) fn order(balance: Balance, turn: usize, candidates: &[Candidate]) -> impl Iterator<Item = usize> {
    let count = candidates.len().max(1);
    let mut places: Vec<usize> = (0..candidates.len()).collect();
    places.sort_by_key(|place| {
        let candidate = candidates[*place];
        let load = match balance {
            Balance::LeastPending => candidate.pending,
            Balance::RoundRobin => 0,
        };
        let distance = (*place + count - turn % count) % count;
        (candidate.was_tried, load, distance)
    });
    places.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(balance: Balance, turn: usize, candidates: &[(usize, bool)]) -> usize {
        let candidates: Vec<_> = candidates
            .iter()
            .map(|(pending, was_tried)| Candidate {
                pending: *pending,
                was_tried: *was_tried,
            })
            .collect();
        order(balance, turn, &candidates).next().unwrap()
    }

    #[test]
    fn in_turn_is_one_after_the_other() {
        let all = [(9, false), (0, false), (5, false)];
        let taken: Vec<usize> = (0..6).map(|turn| first(Balance::RoundRobin, turn, &all)).collect();
        assert_eq!(taken, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn the_least_pending_is_taken_and_of_equals_the_next_in_turn() {
        assert_eq!(
            first(Balance::LeastPending, 0, &[(2, false), (1, false), (3, false)]),
            1
        );
        let equal = [(1, false), (1, false)];
        assert_eq!(first(Balance::LeastPending, 0, &equal), 0);
        assert_eq!(first(Balance::LeastPending, 1, &equal), 1);
    }

    #[test]
    fn what_was_tried_comes_last() {
        assert_eq!(first(Balance::LeastPending, 0, &[(0, true), (7, false)]), 1);
        assert_eq!(first(Balance::RoundRobin, 0, &[(0, true), (0, true)]), 0);
    }
}
