//! `classic-*`, `quorum-*`: hops a second with a payload of a kilobyte, beside a bare program on the same client.
//!
//! Ours: `outrigger run`, its `concurrency` the number in flight; the floor: `hop-bare`; and, as a peer, `hop-bare` that
//! says to the broker what the product has to say (a topic exchange, a second connection, an id and a trace), which shows
//! how much of the distance is the protocol's. Each is started, its queue is filled while the handler reads nothing,
//! then the handler is let go, and the time runs from its first to its last request. In the end every message must be in the
//! last queue, or there is no figure.
//!
//! With one in flight the sides take turns, and the one that asks the handler has a processor and the handler another, for
//! the floor and for ours alike; the broker is where the system has it. With 100 nothing is pinned.

use std::{
    collections::BTreeMap,
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
    case::{Case, Stage, in_turn, rest},
    echo::{Echo, Intake},
    figures::{float, median},
    pin::{Cpu, Pins},
    process::Process,
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
    found: BTreeMap<Side, Vec<Figures>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Ours,
    Floor,
    /// The floor with what the product's protocol asks for.
    SameProtocol,
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
/// The exchange of the bare program with the same protocol.
const EXCHANGE: &str = "bench";
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
            found: BTreeMap::new(),
        }
    }

    /// As many messages as the floor does in the span, found once.
    fn settle_count(&mut self, stage: &Stage) -> anyhow::Result<u64> {
        if self.count == 0 {
            self.count = COUNTS.0 * u64::from(self.in_flight.min(10));
            let hops = self.bare(stage, None)?.hops;
            let second = Duration::from_secs_f64(hops).as_secs();
            self.count = (second * SPAN.as_secs()).clamp(COUNTS.0, COUNTS.1);
        }
        Ok(self.count)
    }

    fn of(&self, side: Side) -> &[Figures] {
        self.found.get(&side).map(Vec::as_slice).unwrap_or_default()
    }

    fn pins(&self, stage: &Stage) -> Pins {
        if self.in_flight == 1 { stage.pins } else { Pins::NONE }
    }

    fn measure(&self, stage: &Stage, side: Side) -> anyhow::Result<Figures> {
        match side {
            Side::Ours => self.product(stage),
            Side::Floor => self.bare(stage, None),
            Side::SameProtocol => self.bare(stage, Some(EXCHANGE)),
        }
    }

    fn bare(&self, stage: &Stage, exchange: Option<&str>) -> anyhow::Result<Figures> {
        let folder = tempfile::Builder::new().prefix("hop-").tempdir_in(&stage.folder)?;
        let socket = folder.path().join("a.sock");
        let mut echo = Echo::start(std::slice::from_ref(&socket), Intake::Held, self.pins(stage).handler)?;
        let place = self.broker.place()?;
        let (from, to) = (message::ACTOR, "end");
        place.client().declare(from, self.kind)?;
        place.client().declare(to, self.kind)?;
        let prefetch = self.in_flight.to_string();
        let socket = socket.display().to_string();
        let mut words = vec![place.url.as_str(), from, to, &socket, &prefetch];
        words.extend(exchange);
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
        for side in in_turn(&Side::ALL, round) {
            let figures = self.measure(stage, side)?;
            self.found.entry(side).or_default().push(figures);
        }
        let last = Side::ALL.map(|side| self.of(side).last().map_or(0.0, |figures| figures.hops));
        let [ours, floor, same] = last;
        Ok(format!(
            "{ours:.0} hops/s, floor {floor:.0}, with the same protocol {same:.0}, of {count} messages"
        ))
    }

    fn rows(&self) -> Vec<Row> {
        let middle = |side, of: fn(&Figures) -> f64| median(&self.of(side).iter().map(of).collect::<Vec<_>>());
        let hops = |side| middle(side, |it| it.hops);
        let ratio = |side| {
            let rounds = self.of(Side::Ours).iter().zip(self.of(side));
            median(&rounds.map(|(ours, other)| ours.hops / other.hops).collect::<Vec<_>>())
        };
        let cpu = |side| {
            let (own, broker) = (middle(side, |it| it.cpu), middle(side, |it| it.broker));
            format!("{own:.0} and the broker {broker:.0}")
        };
        let note = format!(
            "{:.2} of the floor of the same round (median), {:.2} of it with the same protocol; CPU-milliseconds per 1,000 \
             hops: ours {}; floor {}; with the same protocol {}",
            ratio(Side::Floor),
            ratio(Side::SameProtocol),
            cpu(Side::Ours),
            cpu(Side::Floor),
            cpu(Side::SameProtocol),
        );
        let row = Row::new(self.names[0], "hops/s", hops(Side::Ours), note);
        let peer = ("bare-same-protocol", hops(Side::SameProtocol));
        vec![row.beside(hops(Side::Floor)).among([peer].into_iter())]
    }
}

impl Side {
    const ALL: [Self; 3] = [Self::Ours, Self::Floor, Self::SameProtocol];
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
