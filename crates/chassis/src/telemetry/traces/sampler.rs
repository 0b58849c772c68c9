//! Decides whether a span is recorded. Pure.

use std::str::FromStr;

use wire::{Sampling, TraceContext, TraceId};

/// A rule on which spans are recorded, as OpenTelemetry names them.
///
/// ```
/// use chassis::telemetry::traces::Sampler;
///
/// let sampler = Sampler::new("parentbased_traceidratio", Some("0.25"))?;
/// assert_ne!(sampler, Sampler::default());
/// # Ok::<(), chassis::telemetry::traces::BadSampler>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    root: Root,
    /// Whether a span with a parent goes the way of its parent.
    follows: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    All,
    None,
    /// Those traces whose last 8 bytes are a smaller number.
    Below(u64),
}

/// A sampler that nobody can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadSampler {
    /// No sampler of this name.
    #[error(
        "there is no sampler `{name}`: use always_on, always_off, traceidratio, or one of these after `parentbased_`"
    )]
    Name {
        /// What was given.
        name: String,
    },
    /// A share that is none.
    #[error("`{ratio}` is no share of all traces: use a number from 0 to 1")]
    Ratio {
        /// What was given.
        ratio: String,
    },
}

impl Sampler {
    /// The sampler of this name; `ratio` is the share of those that have one, 1 where it is missing.
    pub fn new(name: &str, ratio: Option<&str>) -> Result<Self, BadSampler> {
        let (kind, follows) = match name.strip_prefix("parentbased_") {
            Some(kind) => (kind, true),
            None => (name, false),
        };
        let root = match kind {
            "always_on" => Root::All,
            "always_off" => Root::None,
            "traceidratio" => ratio.map_or(Ok(Root::All), str::parse)?,
            _ => return Err(BadSampler::Name { name: name.to_owned() }),
        };
        Ok(Self { root, follows })
    }

    /// Whether a span of this trace is recorded.
    pub fn decide(self, trace: TraceId, parent: Option<&TraceContext>) -> Sampling {
        let recorded = match (parent, self.root) {
            (Some(parent), _) if self.follows => parent.is_sampled(),
            (_, Root::All) => true,
            (_, Root::None) => false,
            (_, Root::Below(bound)) => trace.bits() & u128::from(u64::MAX) < u128::from(bound),
        };
        if recorded {
            Sampling::Recorded
        } else {
            Sampling::Dropped
        }
    }
}

impl Default for Sampler {
    /// `parentbased_always_on`: every trace that begins here, and of others what their beginning decided.
    fn default() -> Self {
        Self {
            root: Root::All,
            follows: true,
        }
    }
}

impl FromStr for Root {
    type Err = BadSampler;

    fn from_str(text: &str) -> Result<Self, BadSampler> {
        let bad = || BadSampler::Ratio { ratio: text.to_owned() };
        let share: f64 = text.trim().parse().map_err(|_| bad())?;
        if !(0.0..=1.0).contains(&share) {
            return Err(bad());
        }
        // 2^64 itself has no `u64`.
        if share >= 1.0 {
            return Ok(Self::All);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share below 1 of 2^64, which is not negative"
        )]
        let bound = (share * TWO_TO_64) as u64;
        Ok(Self::Below(bound))
    }
}

const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

#[cfg(test)]
mod tests {
    use wire::SpanId;

    use super::*;

    fn parent(sampling: Sampling) -> TraceContext {
        TraceContext::root(TraceId::new(1), SpanId::new(1), sampling)
    }

    fn decides(name: &str, ratio: Option<&str>, trace: u128, parent: Option<Sampling>) -> bool {
        let parent = parent.map(self::parent);
        let sampler = Sampler::new(name, ratio).expect("a sampler");
        sampler.decide(TraceId::new(trace), parent.as_ref()) == Sampling::Recorded
    }

    #[test]
    fn a_sampler_that_follows_goes_the_way_of_the_parent_and_the_others_their_own() {
        for (name, alone) in [("always_on", true), ("always_off", false)] {
            for given in [None, Some(Sampling::Recorded), Some(Sampling::Dropped)] {
                assert_eq!(decides(name, None, 7, given), alone);
            }
            let following = format!("parentbased_{name}");
            assert_eq!(decides(&following, None, 7, None), alone);
            assert!(decides(&following, None, 7, Some(Sampling::Recorded)));
            assert!(!decides(&following, None, 7, Some(Sampling::Dropped)));
        }
        assert_eq!(Sampler::new("parentbased_always_on", None), Ok(Sampler::default()));
    }

    #[test]
    fn a_share_looks_at_the_last_eight_bytes_of_the_trace() {
        let half = |trace| decides("traceidratio", Some("0.5"), trace, None);
        assert!(half(u128::MAX << 64), "the first bytes do not count");
        assert!(half(0x7fff_ffff_ffff_ffff));
        assert!(!half(0x8000_0000_0000_0000));
        assert!(!decides("traceidratio", Some("0"), 1, None));
        assert!(decides("traceidratio", Some("1.0"), u128::MAX, None));
        assert!(decides("traceidratio", None, u128::MAX, None));
        let parted = |given| decides("parentbased_traceidratio", Some("0"), 1, given);
        assert!(parted(Some(Sampling::Recorded)) && !parted(None));
    }

    #[test]
    fn what_is_no_sampler_is_refused_with_its_name() {
        let refused = Sampler::new("sometimes", None).unwrap_err();
        assert!(refused.to_string().contains("`sometimes`"), "{refused}");
        for ratio in ["", "2", "-0.1", "NaN", "half"] {
            assert!(matches!(
                Sampler::new("traceidratio", Some(ratio)),
                Err(BadSampler::Ratio { .. })
            ));
        }
    }
}
