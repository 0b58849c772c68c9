//! `embedded-*`: hops a second on the durable queue, with a payload of a kilobyte.
//!
//! Ours: the actor's queue is filled, then `outrigger run` is started on it (two of them, each with a socket of its own,
//! in `-processes-2`), its `concurrency` the number in flight. The handler reads nothing until every process is ready and
//! at rest; then it is let go, and the time runs from its first to its last request. At the end every process must stop with
//! exit code 0 and every message must be in `happy-end`, or there is no figure. Processor time is that of the `outrigger`
//! processes over the same span; the floor's is that of its thread.
//!
//! With one in flight only one side works at any moment, and each has a processor of its own, the floor's sides too:
//! where the system places them, and how deep a processor sleeps meanwhile, would be most of what is measured. With 64
//! nothing is pinned, for neither: the product has several threads, and may have the machine as the floor may.
//!
//! A machine that others use is no place for this: the floor is one thread and waits for a processor after each of its
//! sleeps. How much it did is in the note; where it is more than a few per cent the ratio says nothing.
//!
//! How many messages: as the floor does in about [`SPAN`], found once.

use std::{path::PathBuf, time::Duration};

use crate::{
    case::{Case, Stage, interleave},
    echo::{Echo, Intake},
    figures::{float, median},
    floor,
    pin::Pins,
    process::Process,
    product::Site,
    report::Row,
};

/// Hops with so many in flight, by so many processes.
pub(crate) struct Embedded {
    names: [&'static str; 1],
    in_flight: usize,
    processes: usize,
    count: Option<u64>,
    ours: Vec<Figures>,
    floor: Vec<Figures>,
}

struct Figures {
    hops: f64,
    /// Milliseconds of processor time for 1,000 hops.
    cpu: f64,
    /// What the process that did less did of it all.
    share: f64,
    /// What part of the time the floor's thread was ready and others of the machine ran: a sign of a busy machine.
    waited: f64,
}

/// Bytes of a payload.
const PAYLOAD: usize = 1024;
/// How long one measurement should take.
const SPAN: Duration = Duration::from_millis(1500);
/// How often the floor is tried for that; the fastest counts, for a busy moment would make all of them short.
const TRIALS: u32 = 3;
/// The least and the most messages of one.
const COUNTS: (u64, u64) = (1000, 60_000);
/// How long one may take before it is given up.
const LIMIT: Duration = Duration::from_mins(1);
/// What the processes, and their sockets, are called.
const NAMES: [&str; 2] = ["a", "b"];

impl Embedded {
    pub(crate) fn new(name: &'static str, in_flight: usize, processes: usize) -> Self {
        Self {
            names: [name],
            in_flight,
            processes,
            count: None,
            ours: Vec::new(),
            floor: Vec::new(),
        }
    }

    fn count(&mut self, stage: &Stage) -> anyhow::Result<u64> {
        if let Some(count) = self.count {
            return Ok(count);
        }
        let trial = 200 * self.in_flight.min(32) as u64;
        let mut hops = 0.0_f64;
        for _ in 0..TRIALS {
            hops = hops.max(self.bare(stage, trial)?.hops);
        }
        let fitting = Duration::from_secs_f64(hops).as_secs() * u64::try_from(SPAN.as_millis())? / 1000;
        let count = fitting.clamp(COUNTS.0, COUNTS.1);
        self.count = Some(count);
        Ok(count)
    }

    fn pins(&self, stage: &Stage) -> Pins {
        if self.in_flight == 1 { stage.pins } else { Pins::NONE }
    }

    fn bare(&self, stage: &Stage, count: u64) -> anyhow::Result<Figures> {
        let site = Site::new(&stage.folder)?;
        let socket = site.socket(NAMES[0]);
        let _echo = Echo::open(&socket, self.pins(stage).handler)?;
        let run = || floor::run(site.folder(), &socket, count, self.in_flight, PAYLOAD);
        let taken = self.pins(stage).asker.with(run)?;
        Ok(Figures {
            waited: taken.waited.as_secs_f64() / taken.time.as_secs_f64(),
            ..Figures::new(count, taken.time, taken.cpu, 1.0)
        })
    }

    fn product(&self, stage: &Stage, count: u64) -> anyhow::Result<Figures> {
        let site = Site::new(&stage.folder)?;
        site.fill(count, PAYLOAD)?;
        let names = &NAMES[..self.processes];
        let sockets: Vec<PathBuf> = names.iter().map(|name| site.socket(name)).collect();
        let mut echo = Echo::start(&sockets, Intake::Held, self.pins(stage).handler)?;
        let mut processes = Vec::new();
        for name in names {
            processes.push(site.start(name, self.in_flight, self.pins(stage).asker)?);
        }
        for process in &mut processes {
            process.settled()?;
        }
        let before = cpu(&processes)?;
        echo.go()?;
        let time = echo.reach(count, LIMIT)?;
        let cpu = cpu(&processes)?.saturating_sub(before);
        let counts = echo.counts()?;
        for process in processes {
            process.stop()?;
        }
        site.check(count)?;
        let smaller = counts.iter().min().copied().unwrap_or_default();
        // When the last request comes, those before it may all be still in flight.
        let done = count - self.in_flight as u64;
        Ok(Figures::new(done, time, cpu, float(smaller) / float(count)))
    }
}

impl Case for Embedded {
    fn names(&self) -> &[&'static str] {
        &self.names
    }

    fn round(&mut self, stage: &Stage, round: u32) -> anyhow::Result<String> {
        let count = self.count(stage)?;
        let (floor, ours) = interleave(round, || self.bare(stage, count), || self.product(stage, count))?;
        let found = format!("{:.0} hops/s, floor {:.0}, of {count} messages", ours.hops, floor.hops);
        self.ours.push(ours);
        self.floor.push(floor);
        Ok(found)
    }

    fn rows(&self) -> Vec<Row> {
        let middle = |all: &[Figures], of: fn(&Figures) -> f64| median(&all.iter().map(of).collect::<Vec<_>>());
        let (ours, floor) = (middle(&self.ours, |it| it.hops), middle(&self.floor, |it| it.hops));
        let (cpu, floor_cpu) = (middle(&self.ours, |it| it.cpu), middle(&self.floor, |it| it.cpu));
        let rounds = self.ours.iter().zip(&self.floor);
        let ratio = median(&rounds.map(|(ours, floor)| ours.hops / floor.hops).collect::<Vec<_>>());
        let mut note = vec![format!("{ratio:.2} of the floor of the same round (median)")];
        note.push(format!("CPU {cpu:.1} ms per 1,000 hops, floor {floor_cpu:.1}"));
        let waited = middle(&self.floor, |it| it.waited) * 100.0;
        note.push(format!(
            "the floor waited {waited:.0} % of its time for a processor that others had"
        ));
        if self.in_flight == 1 {
            let added = 1e6 / ours - 1e6 / floor;
            note.push(format!("{added:.0} us added to a hop"));
        }
        if self.processes > 1 {
            let share = middle(&self.ours, |it| it.share);
            note.push(format!("share of the smaller one {share:.2}"));
        }
        let row = Row::new(self.names[0], "hops/s", ours, note.join("; "));
        vec![row.beside(floor)]
    }
}

impl Figures {
    fn new(hops: u64, time: Duration, cpu: Duration, share: f64) -> Self {
        Self {
            hops: float(hops) / time.as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e6 / float(hops),
            share,
            waited: 0.0,
        }
    }
}

fn cpu(processes: &[Process]) -> anyhow::Result<Duration> {
    processes.iter().map(Process::cpu).sum()
}
