//! `enqueue-to-start-*`: from a put being confirmed to the handler's first byte.
//!
//! As users have it: `outrigger run` owns the queue file, and another process (the bench, through the same crate as
//! `outrigger send`) puts one message after the other, each when the one before has reached the handler and a little
//! time has passed. Both sides read the machine's monotonic clock: the bench when `put` has returned, the handler when
//! its socket has become readable. A handler that began before the put had returned to its caller counts as 0; the time
//! from the call of `put` is in the note. Nothing is pinned.

use std::{thread, time::Duration};

use benches::{clock, message};

use crate::{
    PATIENCE,
    case::{Case, Stage},
    echo::Echo,
    figures::{median, percentile},
    pin::Cpu,
    product::{self, Site},
    report::Row,
};

/// Both percentiles.
#[derive(Default)]
pub(crate) struct Latency {
    /// Of each round: p50 and p99 from the return of the put, and from its call.
    rounds: Vec<[f64; 4]>,
}

/// Samples of a round.
const SAMPLES: u64 = 2000;
/// Messages before them.
const WARM_UP: u64 = 100;
/// Bytes of a payload.
const PAYLOAD: usize = 1024;
/// Between a message's reaching the handler and the next put.
const GAP: Duration = Duration::from_micros(1500);

/// The moments of one put.
struct Moments {
    called: u64,
    returned: u64,
}

impl Case for Latency {
    fn names(&self) -> &[&'static str] {
        &["enqueue-to-start-p50", "enqueue-to-start-p99"]
    }

    fn round(&mut self, stage: &Stage, _: u32) -> anyhow::Result<String> {
        let site = Site::new(&stage.folder)?;
        let mut echo = Echo::open(&site.socket("a"), Cpu::ANY)?;
        let mut process = site.start("a", 1, Cpu::ANY)?;
        process.settled()?;
        let puts = site.with_queue(|queue| async {
            let mut puts = Vec::new();
            for number in 0..WARM_UP + SAMPLES {
                let message = vec![product::put(message::envelope(number, PAYLOAD))];
                let called = clock::now();
                queue.put(message).await?;
                let returned = clock::now();
                puts.push(Moments { called, returned });
                echo.reach(number + 1, PATIENCE)?;
                thread::sleep(GAP);
            }
            drop(queue);
            Ok(puts)
        })?;
        let stamps = echo.stamps()?;
        process.stop()?;
        site.check(WARM_UP + SAMPLES)?;

        let pairs = || {
            puts.iter()
                .zip(&stamps)
                .skip(usize::try_from(WARM_UP).unwrap_or_default())
        };
        let since = |moment: fn(&Moments) -> u64| -> Vec<f64> {
            let nanos = pairs().map(|(put, stamp)| stamp.saturating_sub(moment(put)));
            nanos
                .map(|nanos| Duration::from_nanos(nanos).as_secs_f64() * 1e3)
                .collect()
        };
        let (returned, called) = (since(|put| put.returned), since(|put| put.called));
        let found = [&returned, &called].map(|all| [50, 99].map(|percent| percentile(all, percent)));
        let [[p50, p99], [call50, call99]] = found;
        self.rounds.push([p50, p99, call50, call99]);
        Ok(format!("p50 {p50:.3} ms, p99 {p99:.3} ms"))
    }

    fn rows(&self) -> Vec<Row> {
        let of = |place: usize| median(&self.rounds.iter().map(|round| round[place]).collect::<Vec<_>>());
        let note = |call: f64| {
            format!("{SAMPLES} puts a round from another process; {call:.3} ms from the call of put, its sync included")
        };
        let names = self.names();
        vec![
            Row::new(names[0], "ms", of(0), note(of(2))),
            Row::new(names[1], "ms", of(1), note(of(3))),
        ]
    }
}
