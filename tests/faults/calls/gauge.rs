//! Memory and descriptors of a process, before, during and after.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::harness::Sidecar;

/// What a process had before something was done to it.
pub(super) struct Gauge<'s> {
    sidecar: &'s Sidecar,
    before: Level,
}

/// How much more there may be afterwards.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub(super) descriptors: usize,
    pub(super) mib: u64,
}

/// What a process has.
#[derive(Debug, Clone, Copy)]
struct Level {
    resident_kib: u64,
    peak_kib: u64,
    descriptors: usize,
}

impl Bound {
    /// After a few dozen at once.
    ///
    /// Descriptors: the steady callers' connections, of which the old one may not have ended when there is a new one; the up to 16
    /// that `echo` keeps to its handler, one for each call that it has ever had at once; and ours, who ask for metrics. Memory: the
    /// allocator keeps what was freed, in an arena for each thread. Each kind of fault is met more often than that: had one connection
    /// been left with each, it would show in the descriptors; in the long rounds its buffer of 8 KiB would, too.
    pub(super) const FEW: Self = Self {
        descriptors: 28,
        mib: 6,
    };
}

impl<'s> Gauge<'s> {
    /// Measures what is there; it ought to have done already what is about to be measured, so that code that is loaded
    /// for it is no growth.
    #[track_caller]
    pub(super) fn new(sidecar: &'s Sidecar) -> Self {
        fs::write(format!("/proc/{}/clear_refs", sidecar.pid()), "5").expect("its peak begins anew");
        Self {
            sidecar,
            before: Level::of(sidecar),
        }
    }

    /// How many descriptors there are now beyond those of before.
    #[track_caller]
    pub(super) fn more_descriptors(&self) -> usize {
        let now = Level::of(self.sidecar).descriptors;
        now.saturating_sub(self.before.descriptors)
    }

    /// The most that was in memory since the beginning beyond what was there before, in MiB.
    #[track_caller]
    pub(super) fn peak_growth(&self) -> u64 {
        Level::of(self.sidecar)
            .peak_kib
            .saturating_sub(self.before.resident_kib)
            >> 10
    }

    /// Waits until all is back within a bound, and says what there was.
    #[track_caller]
    pub(super) fn is_back(&self, what: &str, bound: Bound) {
        let during = Level::of(self.sidecar);
        let mut after = during;
        let descriptors = self.before.descriptors + bound.descriptors;
        let resident = self.before.resident_kib + (bound.mib << 10);
        let began = Instant::now();
        let is_back = |level: &Level| level.descriptors <= descriptors && level.resident_kib <= resident;
        // Told in any case, so not by `within`.
        while !is_back(&after) && began.elapsed() < SETTLED {
            thread::sleep(LOOK);
            after = Level::of(self.sidecar);
        }
        let told = format!(
            "{what}: resident {} KiB before, {} at most, {} after (may be {resident}); descriptors {} before, {} right after, {} then (may be {descriptors})",
            self.before.resident_kib,
            after.peak_kib,
            after.resident_kib,
            self.before.descriptors,
            during.descriptors,
            after.descriptors
        );
        eprintln!("{told}");
        assert!(is_back(&after), "{told}");
    }
}

impl Level {
    #[track_caller]
    fn of(sidecar: &Sidecar) -> Self {
        let folder = format!("/proc/{}", sidecar.pid());
        let status = fs::read_to_string(format!("{folder}/status")).expect("it runs");
        let kib = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.strip_suffix(" kB")?.trim().parse().ok());
            value.unwrap_or_else(|| panic!("no {name} in {status}"))
        };
        Self {
            resident_kib: kib("VmRSS:"),
            peak_kib: kib("VmHWM:"),
            descriptors: fs::read_dir(format!("{folder}/fd")).expect("it is ours").count(),
        }
    }
}

/// After so long nothing changes any more: a connection is lingered on for two seconds, and an idle one to an upstream is
/// closed after 55.
const SETTLED: Duration = Duration::from_mins(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
