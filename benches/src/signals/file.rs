//! `file` and `connections-*`: lines per second of the receiver's processor time, from TCP into a file.
//!
//! `file` has one connection and all sides; `connections-*` shows ours alone as connections grow, with its memory in the note.

use std::collections::BTreeMap;

use benches::{
    case::{Case, Stage, in_turn, rest},
    figures::{float, median},
    report::Row,
};

use crate::side::Side;

/// Lines into a file.
pub(crate) struct Throughput {
    names: [&'static str; 1],
    connections: usize,
    sides: &'static [Side],
    found: BTreeMap<Side, Vec<f64>>,
    /// Memory that ours took more, in KiB.
    grown: Vec<f64>,
}

/// Lines of a measurement: what a side does in about a second and a half of processor time.
const fn count(side: Side) -> u64 {
    match side {
        Side::Ours | Side::Floor => 2_000_000,
        Side::Rsyslog | Side::SyslogNg => 200_000,
    }
}

impl Throughput {
    pub(crate) fn new(name: &'static str, connections: usize, among: bool) -> Self {
        const ALL: &[Side] = &[Side::Ours, Side::Floor, Side::Rsyslog, Side::SyslogNg];
        Self {
            names: [name],
            connections,
            sides: if among { ALL } else { &ALL[..1] },
            found: BTreeMap::new(),
            grown: Vec::new(),
        }
    }

    fn measure(&mut self, stage: &Stage, side: Side) -> anyhow::Result<f64> {
        let mut receiver = side.start(&stage.folder)?;
        let before = receiver.resident()?;
        let count = count(side);
        let taken = receiver.receive(count, self.connections)?;
        if side == Side::Ours {
            self.grown.push(float(receiver.resident()?.saturating_sub(before)));
        }
        receiver.stop()?;
        rest();
        Ok(float(count) / taken.as_secs_f64())
    }

    fn middle(&self, side: Side) -> f64 {
        median(self.found.get(&side).map(Vec::as_slice).unwrap_or_default())
    }
}

impl Case for Throughput {
    fn names(&self) -> &[&'static str] {
        &self.names
    }

    fn round(&mut self, stage: &Stage, round: u32) -> anyhow::Result<String> {
        let mut found = Vec::new();
        for side in in_turn(self.sides, round) {
            let lines = self.measure(stage, side)?;
            self.found.entry(side).or_default().push(lines);
            found.push(format!("{} {lines:.0}", side.name()));
        }
        Ok(format!("{} lines per CPU-second", found.join(", ")))
    }

    fn rows(&self) -> Vec<Row> {
        let note = format!("{:.1} MiB more memory afterwards", median(&self.grown) / 1024.0);
        let mut row = Row::new(self.names[0], "lines/CPU-s", self.middle(Side::Ours), note);
        if self.sides.contains(&Side::Floor) {
            row = row.beside(self.middle(Side::Floor));
        }
        let peers = self
            .sides
            .iter()
            .filter(|side| !matches!(side, Side::Ours | Side::Floor));
        vec![row.among(peers.map(|side| (side.name(), self.middle(*side))))]
    }
}
