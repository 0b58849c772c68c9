//! Which deliveries of a channel are out, and how few acknowledgements say that some have finished.
//!
//! Pure. One acknowledgement covers the finished ones before the first that has not finished; each later one has an
//! acknowledgement of its own. So a slow message at the head holds up nobody.

use std::collections::BTreeSet;

/// The delivery tags that the broker waits for.
#[derive(Debug, Default)]
pub(super) struct Tags {
    out: BTreeSet<u64>,
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
        let prefix = tags.partition_point(|tag| *tag < first_out);
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

    proptest! {
        #[test]
        fn the_broker_is_told_of_the_finished_ones_and_of_no_other(
            steps in proptest::collection::vec((0_u64..4, proptest::collection::vec(any::<prop::sample::Index>(), 0..6)), 1..40),
        ) {
            let (mut tags, mut broker, mut last) = (Tags::default(), BTreeSet::new(), 0);
            let mut held = Vec::new();
            for (given, picks) in steps {
                for _ in 0..given {
                    last += 1;
                    tags.given(last);
                    broker.insert(last);
                    held.push(last);
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
                prop_assert_eq!(broker.iter().copied().collect::<Vec<_>>(), held.clone());
            }
        }
    }
}
