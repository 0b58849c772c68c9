//! `classic-*`, `quorum-*`: hops a second with a payload of a kilobyte, beside a bare program on the same client.
//!
//! Ours: `outrigger run`, its `concurrency` the number in flight; the floor: `hop-bare`. Each is started, its queue is
//! filled while the handler reads nothing, then the handler is let go, and the time runs from its first to its last
//! request. In the end every message must be in the last queue, or there is no figure.
//!
//! With one in flight the sides take turns, and the one that asks the handler has a processor and the handler another, for
//! the floor and for ours alike; the broker is where the system has it. With 100 nothing is pinned.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    rc::Rc,
    time::Duration,
};

use anyhow::{Context, ensure};
use benches::{message, procfs};

use super::{
    broker::{Broker, Kind, Place},
    client::Message,
};
use crate::{
    case::{Case, Stage, interleave, rest},
    echo::{Echo, Intake},
    figures::{float, median},
    pin::{Cpu, Pins},
    product::Process,
    program,
    report::Row,
};

/// Hops with so many in flight.
pub(crate) struct Hops {
    names: [&'static str; 1],
    kind: Kind,
    in_flight: u16,
    broker: Rc<Broker>,
    count: u64,
    ours: Vec<Figures>,
    floor: Vec<Figures>,
}

/// Of one side in one round.
#[derive(Debug, Clone, Copy)]
struct Figures {
    hops: f64,
    /// Milliseconds of processor time for 1,000 hops: the side's own, and the broker's.
    cpu: f64,
    broker: f64,
}

/// The program beside which ours is measured; it ends when this is dropped.
struct Bare(Child);

/// Name, kind of queue, messages in flight.
pub(crate) const CASES: &[(&str, Kind, u16)] = &[
    ("classic-1", Kind::Classic, 1),
    ("classic-100", Kind::Classic, 100),
    ("quorum-1", Kind::Quorum, 1),
    ("quorum-100", Kind::Quorum, 100),
];
/// Bytes of a payload.
const PAYLOAD: usize = 1024;
/// How long one measurement should take.
const SPAN: Duration = Duration::from_secs(2);
/// The least and the most messages of one.
const COUNTS: (u64, u64) = (500, 60_000);
/// How long one may take before it is given up.
const LIMIT: Duration = Duration::from_mins(2);

impl Hops {
    pub(crate) fn new(name: &'static str, kind: Kind, in_flight: u16, broker: &Rc<Broker>) -> Self {
        Self {
            names: [name],
            kind,
            in_flight,
            broker: Rc::clone(broker),
            count: 0,
            ours: Vec::new(),
            floor: Vec::new(),
        }
    }

    /// As many messages as the floor does in the span, found once.
    fn settle_count(&mut self, stage: &Stage) -> anyhow::Result<u64> {
        if self.count == 0 {
            self.count = COUNTS.0 * u64::from(self.in_flight.min(10));
            let hops = self.bare(stage)?.hops;
            let second = Duration::from_secs_f64(hops).as_secs();
            self.count = (second * SPAN.as_secs()).clamp(COUNTS.0, COUNTS.1);
        }
        Ok(self.count)
    }

    fn pins(&self, stage: &Stage) -> Pins {
        if self.in_flight == 1 { stage.pins } else { Pins::NONE }
    }

    fn bare(&self, stage: &Stage) -> anyhow::Result<Figures> {
        let folder = tempfile::Builder::new().prefix("hop-").tempdir_in(&stage.folder)?;
        let socket = folder.path().join("a.sock");
        let mut echo = Echo::start(std::slice::from_ref(&socket), Intake::Held, self.pins(stage).handler)?;
        let place = self.broker.place()?;
        let (from, to) = (message::ACTOR, "end");
        place.client().declare(from, self.kind)?;
        place.client().declare(to, self.kind)?;
        let prefetch = self.in_flight.to_string();
        let socket = socket.display().to_string();
        let words = [place.url.as_str(), from, to, &socket, &prefetch];
        let bare = Bare::start(&words, self.pins(stage).asker)?;
        let id = bare.0.id();
        let figures = self.take(&place, &mut echo, to, || procfs::cpu(id))?;
        bare.stop()?;
        Ok(figures)
    }

    fn product(&self, stage: &Stage) -> anyhow::Result<Figures> {
        let folder = tempfile::Builder::new().prefix("hop-").tempdir_in(&stage.folder)?;
        let socket = folder.path().join("a.sock");
        let mut echo = Echo::start(&[socket], Intake::Held, self.pins(stage).handler)?;
        let place = self.broker.place()?;
        let mut process = self.start(folder.path(), &place, self.pins(stage).asker)?;
        process.settled()?;
        let figures = self.take(&place, &mut echo, "happy-end", || process.cpu())?;
        process.stop()?;
        Ok(figures)
    }

    fn start(&self, folder: &Path, place: &Place<'_>, cpu: Cpu) -> anyhow::Result<Process> {
        let config = format!(
            "queue: {}\nqueue_type: {}\nactors:\n  {}:\n    handler: {{ socket: a.sock }}\n    concurrency: {}\n",
            place.url,
            self.kind.name(),
            message::ACTOR,
            self.in_flight
        );
        Process::start(folder, "outrigger", &config, cpu)
    }

    /// Fills the queue, lets the handler go, and waits until all is at the end.
    fn take(
        &self,
        place: &Place<'_>,
        echo: &mut Echo,
        end: &str,
        cpu: impl Fn() -> anyhow::Result<Duration>,
    ) -> anyhow::Result<Figures> {
        let messages = (0..self.count).map(|number| Message {
            body: message::envelope(number, PAYLOAD).to_vec(),
            ..Message::default()
        });
        place.client().fill(message::ACTOR, &mut { messages })?;
        rest();
        let before = (cpu()?, self.broker.cpu()?);
        echo.go()?;
        let time = echo.reach(self.count, LIMIT)?;
        let taken = cpu()?.saturating_sub(before.0);
        let broker = self.broker.cpu()?.saturating_sub(before.1);
        place.client().arrived(end, self.count)?;
        // When the last request comes, those before it may be all still in flight.
        let done = float(self.count - u64::from(self.in_flight));
        Ok(Figures {
            hops: done / time.as_secs_f64(),
            cpu: taken.as_secs_f64() * 1e6 / done,
            broker: broker.as_secs_f64() * 1e6 / done,
        })
    }
}

impl Case for Hops {
    fn names(&self) -> &[&'static str] {
        &self.names
    }

    fn round(&mut self, stage: &Stage, round: u32) -> anyhow::Result<String> {
        let count = self.settle_count(stage)?;
        let (floor, ours) = interleave(round, || self.bare(stage), || self.product(stage))?;
        self.ours.push(ours);
        self.floor.push(floor);
        Ok(format!(
            "{:.0} hops/s, floor {:.0}, of {count} messages",
            ours.hops, floor.hops
        ))
    }

    fn rows(&self) -> Vec<Row> {
        let middle = |all: &[Figures], of: fn(&Figures) -> f64| median(&all.iter().map(of).collect::<Vec<_>>());
        let (ours, floor) = (middle(&self.ours, |it| it.hops), middle(&self.floor, |it| it.hops));
        let rounds = self.ours.iter().zip(&self.floor);
        let ratio = median(&rounds.map(|(ours, floor)| ours.hops / floor.hops).collect::<Vec<_>>());
        let cpu = |all: &[Figures]| {
            let (own, broker) = (middle(all, |it| it.cpu), middle(all, |it| it.broker));
            format!("{own:.0} and the broker {broker:.0}")
        };
        let note = format!(
            "{ratio:.2} of the floor of the same round (median); CPU-milliseconds per 1,000 hops: ours {}; floor {}",
            cpu(&self.ours),
            cpu(&self.floor)
        );
        vec![Row::new(self.names[0], "hops/s", ours, note).beside(floor)]
    }
}

impl Bare {
    /// Starts it, and waits until it takes messages.
    fn start(words: &[&str], cpu: Cpu) -> anyhow::Result<Self> {
        let mut command = Command::new(program("hop-bare")?);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut bare = Self(cpu.with(|| command.spawn()).context("cannot start hop-bare")?);
        let output = bare.0.stdout.take().context("hop-bare has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(line.trim() == "taking", "hop-bare did not start");
        Ok(bare)
    }

    /// Ends it; it must end well.
    fn stop(mut self) -> anyhow::Result<()> {
        drop(self.0.stdin.take());
        let status = self.0.wait()?;
        ensure!(status.success(), "hop-bare ended with {status}");
        Ok(())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // Where it has ended already this does nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
