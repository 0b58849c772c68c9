//! `steps`, `steps-1`: steps a second with the same handler in Python, beside other systems that run it.
//!
//! A queue is filled, then a side is started on it, and the time runs from one noted call of the handler to the last one's;
//! what comes before the first is its warm-up. In the end every message must be in the last queue, or there is no figure.
//!
//! - Ours: `outrigger run` with as many at once as the case has, the handler behind the Python runtime.
//! - Celery: a worker of one process, `acks_late`, prefetch 1, publishes confirmed (by default it would lose what the
//!   broker loses). A step is a task of a chain; the worker puts the next one. It takes one message at a time whatever
//!   waits, which is what "in flight" means for it: concurrency 1 is the one handler process that all sides have.
//! - `FastStream`: as many at once as the case has by its prefetch, publishes confirmed and mandatory.
//!
//! Results are stored by nobody. How many messages: what a side does in about [`SPAN`], after the round before.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use super::{
    broker::Broker,
    side::{Side, Task},
    venv::Venv,
};
use crate::{
    case::{Case, Stage, in_turn},
    figures::{float, median},
    report::Row,
};

/// Steps with so many in flight.
pub(crate) struct Steps {
    names: [&'static str; 1],
    in_flight: usize,
    peers: &'static [Side],
    broker: Rc<Broker>,
    venv: Rc<Venv>,
    found: BTreeMap<Side, Vec<Figures>>,
}

/// Of one side in one round.
#[derive(Debug, Clone, Copy)]
struct Figures {
    steps: f64,
    /// Seconds of processor time for 1,000 steps: the side's own, and the broker's.
    cpu: f64,
    broker: f64,
}

pub(crate) const ALL_PEERS: &[Side] = &[Side::Celery, Side::FastStream];
pub(crate) const CELERY: &[Side] = &[Side::Celery];
/// How long one measurement should take.
const SPAN: Duration = Duration::from_secs(2);
/// Messages of a side's first round.
const FIRST: u64 = 1000;
/// The least and the most of a later one.
const COUNTS: (u64, u64) = (500, 60_000);
/// How long one may take before it is given up.
const LIMIT: Duration = Duration::from_mins(2);

impl Steps {
    pub(crate) fn new(
        name: &'static str,
        in_flight: usize,
        peers: &'static [Side],
        broker: &Rc<Broker>,
        venv: &Rc<Venv>,
    ) -> Self {
        Self {
            names: [name],
            in_flight,
            peers,
            broker: Rc::clone(broker),
            venv: Rc::clone(venv),
            found: BTreeMap::new(),
        }
    }

    fn count(&self, side: Side) -> u64 {
        let last = self.found.get(&side).and_then(|all| all.last());
        last.map_or(FIRST, |figures| {
            let second = Duration::from_secs_f64(figures.steps).as_secs();
            (second * SPAN.as_secs()).clamp(COUNTS.0, COUNTS.1)
        })
    }

    fn measure(&self, stage: &Stage, side: Side) -> anyhow::Result<Figures> {
        let count = self.count(side);
        // Those before it are the warm-up.
        let first = count / 5;
        let folder = tempfile::Builder::new().prefix("steps-").tempdir_in(&stage.folder)?;
        let place = self.broker.place()?;
        let task = Task {
            side,
            steps: 1,
            in_flight: self.in_flight,
            place: &place,
            folder: folder.path(),
            venv: &self.venv,
        };
        let stand = task.stand()?;
        let end = stand.end;
        let message = stand.message.clone();
        let messages = (0..count).map(|_| message.clone());
        place.client().fill(stand.entrance(), &mut { messages })?;
        let file = folder.path().join("marks");
        let mut team = stand.work(Some((&file, [first, count])))?;
        team.marked(&file, 1, LIMIT)?;
        let before = (team.cpu()?, self.broker.cpu()?);
        let marks = team.marked(&file, 2, LIMIT)?;
        let cpu = team.cpu()?.saturating_sub(before.0);
        let broker = self.broker.cpu()?.saturating_sub(before.1);
        place.client().arrived(end, count)?;
        team.stop()?;
        let done = float(count - first);
        let time = Duration::from_nanos(marks[1] - marks[0]);
        Ok(Figures {
            steps: done / time.as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e3 / done,
            broker: broker.as_secs_f64() * 1e3 / done,
        })
    }

    fn middle(&self, side: Side, of: fn(&Figures) -> f64) -> f64 {
        let all = self.found.get(&side).map(Vec::as_slice).unwrap_or_default();
        median(&all.iter().map(of).collect::<Vec<_>>())
    }
}

impl Case for Steps {
    fn names(&self) -> &[&'static str] {
        &self.names
    }

    fn round(&mut self, stage: &Stage, round: u32) -> anyhow::Result<String> {
        let mut found = Vec::new();
        for side in in_turn(&[&[Side::Ours], self.peers].concat(), round) {
            let figures = self.measure(stage, side)?;
            self.found.entry(side).or_default().push(figures);
            found.push(format!("{} {:.0} steps/s", side.name(), figures.steps));
        }
        Ok(found.join(", "))
    }

    fn rows(&self) -> Vec<Row> {
        let note = self.found.keys().map(|side| {
            let (cpu, broker) = (self.middle(*side, |it| it.cpu), self.middle(*side, |it| it.broker));
            format!("{} {cpu:.3} and the broker {broker:.3}", side.name())
        });
        let note = format!(
            "classic queues; CPU-seconds per 1,000 steps: {}",
            note.collect::<Vec<_>>().join("; ")
        );
        let steps = |side| self.middle(side, |it| it.steps);
        let row = Row::new(self.names[0], "steps/s", steps(Side::Ours), note);
        vec![row.among(self.peers.iter().map(|peer| (peer.name(), steps(*peer))))]
    }
}
