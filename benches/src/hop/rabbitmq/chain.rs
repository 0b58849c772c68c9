//! `chain-latency-*`: a message through three steps in Python, one message at a time, beside other systems.
//!
//! From the call of the put to the arrival at the end, both in the bench's own process with the same client for every side:
//! it puts what that side's own client would, and follows the last queue. The next message is put when the one before has
//! arrived and a little time has passed. Ours is one `outrigger run` with three actors; the settings of all sides are
//! those of [`steps`](super::steps).

use std::{collections::BTreeMap, rc::Rc, thread, time::Duration};

use super::{
    broker::Broker,
    side::{Side, Task},
    steps::ALL_PEERS,
    venv::Venv,
};
use crate::{
    case::{Case, Stage, in_turn},
    figures::{median, percentile},
    report::Row,
};

/// Both percentiles.
pub(crate) struct Chain {
    broker: Rc<Broker>,
    venv: Rc<Venv>,
    found: BTreeMap<Side, Vec<Figures>>,
}

/// Of one side in one round.
#[derive(Debug, Clone, Copy)]
struct Figures {
    /// Milliseconds: p50 and p99.
    latency: [f64; 2],
    /// Milliseconds of processor time for a message.
    cpu: f64,
}

/// Steps of the chain.
const STEPS: usize = 3;
/// Messages of a round that count, and those before them.
const SAMPLES: u32 = 400;
const WARM_UP: u32 = 50;
/// Between an arrival and the next put.
const GAP: Duration = Duration::from_millis(2);

impl Chain {
    pub(crate) fn new(broker: &Rc<Broker>, venv: &Rc<Venv>) -> Self {
        Self {
            broker: Rc::clone(broker),
            venv: Rc::clone(venv),
            found: BTreeMap::new(),
        }
    }

    fn measure(&self, stage: &Stage, side: Side) -> anyhow::Result<Figures> {
        let folder = tempfile::Builder::new().prefix("chain-").tempdir_in(&stage.folder)?;
        let place = self.broker.place()?;
        let task = Task {
            side,
            steps: STEPS,
            in_flight: 1,
            place: &place,
            folder: folder.path(),
            venv: &self.venv,
        };
        let stand = task.stand()?;
        let mut end = place.client().follow(stand.end)?;
        let (entrance, message) = (stand.entrance().to_owned(), stand.message.clone());
        let team = stand.work(None)?;
        let mut through = || place.client().through(&entrance, &message, &mut end);
        for _ in 0..WARM_UP {
            through()?;
        }
        let before = team.cpu()?;
        let mut samples = Vec::new();
        for _ in 0..SAMPLES {
            samples.push(through()?.as_secs_f64() * 1e3);
            thread::sleep(GAP);
        }
        let cpu = team.cpu()?.saturating_sub(before);
        team.stop()?;
        Ok(Figures {
            latency: [50, 99].map(|percent| percentile(&samples, percent)),
            cpu: cpu.as_secs_f64() * 1e3 / f64::from(SAMPLES),
        })
    }

    fn middle(&self, side: Side, of: impl Fn(&Figures) -> f64) -> f64 {
        let all = self.found.get(&side).map(Vec::as_slice).unwrap_or_default();
        median(&all.iter().map(of).collect::<Vec<_>>())
    }
}

impl Case for Chain {
    fn names(&self) -> &[&'static str] {
        &["chain-latency-p50", "chain-latency-p99"]
    }

    fn round(&mut self, stage: &Stage, round: u32) -> anyhow::Result<String> {
        let mut found = Vec::new();
        for side in in_turn(&[&[Side::Ours], ALL_PEERS].concat(), round) {
            let figures = self.measure(stage, side)?;
            self.found.entry(side).or_default().push(figures);
            let [p50, p99] = figures.latency;
            found.push(format!("{} p50 {p50:.2} ms, p99 {p99:.2} ms", side.name()));
        }
        Ok(found.join(", "))
    }

    fn rows(&self) -> Vec<Row> {
        let cpu = self.found.keys().map(|side| {
            let cpu = self.middle(*side, |it| it.cpu);
            format!("{} {cpu:.2}", side.name())
        });
        let note = format!(
            "{SAMPLES} messages a round, one at a time, {STEPS} steps on classic queues; CPU-milliseconds a message: {}",
            cpu.collect::<Vec<_>>().join("; ")
        );
        let rows = self.names().iter().enumerate().map(|(place, name)| {
            let of = |side| self.middle(side, |it| it.latency[place]);
            let row = Row::new(name, "ms", of(Side::Ours), note.clone());
            row.among(ALL_PEERS.iter().map(|peer| (peer.name(), of(*peer))))
        });
        rows.collect()
    }
}
