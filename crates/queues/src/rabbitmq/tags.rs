//! Which deliveries of a channel are out, and how few acknowledgements say that some have finished.
//!
//! Pure. One acknowledgement covers the finished ones before the first that has not finished; each later one has an
//! acknowledgement of its own. So a slow message at the head holds up nobody.
//!
//! The one rule: **what has not come yet is never covered.** A channel numbers its deliveries from 1 without a gap, and those of
//! several orders may be seen in another order than they were sent: a number that has not been seen is a delivery on its way.

use std::collections::BTreeSet;

/// The delivery tags that the broker waits for.
#[derive(Debug, Default)]
pub(super) struct Tags {
    out: BTreeSet<u64>,
    /// Every tag up to this one has come.
    come: u64,
    /// Those that have come beyond the first that has not.
    beyond: BTreeSet<u64>,
}

/// An acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) tag: u64,
    /// It is for every earlier one that is out, too.
    pub(super) multiple: bool,
}

impl Tags {
    /// A delivery came.
    pub(super) fn given(&mut self, tag: u64) {
        self.out.insert(tag);
        self.beyond.insert(tag);
        while self.beyond.remove(&(self.come + 1)) {
            self.come += 1;
        }
    }

    /// A delivery was given back.
    pub(super) fn returned(&mut self, tag: u64) {
        self.out.remove(&tag);
    }

    /// Deliveries have finished: what to tell the broker. Those that are not out are passed over.
    pub(super) fn finished(&mut self, mut tags: Vec<u64>) -> Vec<Ack> {
        tags.retain(|tag| self.out.remove(tag));
        tags.sort_unstable();
        let first_out = self.out.first().copied().unwrap_or(u64::MAX);
        let open = first_out.min(self.come + 1);
        let prefix = tags.partition_point(|tag| *tag < open);
        let later = tags[prefix..].iter().map(|tag| Ack {
            tag: *tag,
            multiple: false,
        });
        let upto = tags[..prefix].last().map(|tag| Ack {
            tag: *tag,
            multiple: prefix > 1,
        });
        upto.into_iter().chain(later).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn acks(tags: &mut Tags, finished: &[u64]) -> Vec<(u64, bool)> {
        let acks = tags.finished(finished.to_vec());
        acks.into_iter().map(|ack| (ack.tag, ack.multiple)).collect()
    }

    #[test]
    fn a_slow_message_at_the_head_holds_up_nobody() {
        let mut tags = Tags::default();
        (1..=5).for_each(|tag| tags.given(tag));
        assert_eq!(acks(&mut tags, &[3, 2]), [(2, false), (3, false)]);
        assert_eq!(acks(&mut tags, &[1, 4]), [(4, true)]);
        assert_eq!(acks(&mut tags, &[5, 5, 9]), [(5, false)]);
    }

    #[test]
    fn what_has_not_come_yet_is_not_covered() {
        let mut tags = Tags::default();
        for tag in [1, 3, 4] {
            tags.given(tag);
        }
        assert_eq!(acks(&mut tags, &[1, 3, 4]), [(1, false), (3, false), (4, false)]);
        tags.given(2);
        tags.given(5);
        assert_eq!(acks(&mut tags, &[2, 5]), [(5, true)]);
    }

    proptest! {
        #[test]
        fn the_broker_is_told_of_the_finished_ones_and_of_no_other(
            steps in proptest::collection::vec(
                (0_u64..4, proptest::collection::vec(any::<prop::sample::Index>(), 0..4), proptest::collection::vec(any::<prop::sample::Index>(), 0..6)),
                1..40,
            ),
        ) {
            let (mut tags, mut broker, mut last) = (Tags::default(), BTreeSet::new(), 0);
            let (mut on_its_way, mut held) = (Vec::new(), Vec::new());
            for (sent, comes, picks) in steps {
                for _ in 0..sent {
                    last += 1;
                    broker.insert(last);
                    on_its_way.push(last);
                }
                // In whatever order it is seen.
                for come in comes {
                    if !on_its_way.is_empty() {
                        let tag = on_its_way.remove(come.index(on_its_way.len()));
                        tags.given(tag);
                        held.push(tag);
                    }
                }
                let mut finished = Vec::new();
                for pick in picks {
                    if !held.is_empty() {
                        finished.push(held.remove(pick.index(held.len())));
                    }
                }
                for Ack { tag, multiple } in tags.finished(finished) {
                    prop_assert!(broker.contains(&tag), "{tag} is not out");
                    if multiple {
                        broker.retain(|out| *out > tag);
                    } else {
                        broker.remove(&tag);
                    }
                }
                let waited_for: BTreeSet<u64> = held.iter().chain(&on_its_way).copied().collect();
                prop_assert_eq!(&broker, &waited_for);
            }
        }
    }
}
