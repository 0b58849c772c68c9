//! `proxy-*` and `connections-*`: what a request meets on its way through a proxy.
//!
//! - `proxy-c32`: answers a second over 32 connections that ask without a pause;
//! - `proxy-c1-added-*`: what the proxy adds to the time of a request where there is one at a time: its percentile less that of the
//!   upstream asked directly in the same round;
//! - `proxy-1000rps-added-p99`: the same where 1,000 requests a second are due, whether the ones before are answered or not;
//! - `proxy-cpu-1000rps`: thousandths of a processor that the proxy takes meanwhile;
//! - `connections-*`: ours alone, as `proxy-c32`, as connections grow.
//!
//! The note says how much those around the proxy had to do: at 100 % of a processor they would be what is measured.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use benches::{
    case::{Case, Stage, in_turn},
    figures::median,
    report::Row,
};

use crate::{
    load::{Figures, Load, Upstream},
    side::Side,
};

/// Requests through proxies.
pub(crate) struct Proxying {
    upstream: Rc<Upstream>,
    load: Load,
    sides: &'static [Side],
    measures: Vec<Measure>,
    names: Vec<&'static str>,
    rounds: Vec<BTreeMap<Side, Figures>>,
}

/// A row: its name, its unit, and its value for a side in a round.
type Measure = (&'static str, &'static str, fn(&BTreeMap<Side, Figures>, Side) -> f64);

/// How long requests without a pause are measured, and those that are due at a rate.
const SPAN: Duration = Duration::from_millis(1500);
const PACED_SPAN: Duration = Duration::from_secs(3);

/// As many requests as there can be.
pub(crate) fn throughput(upstream: &Rc<Upstream>) -> Proxying {
    Proxying::new(upstream, (32, 0, SPAN), Side::ALL, vec![("proxy-c32", "req/s", rate)])
}

/// One request at a time.
pub(crate) fn latency(upstream: &Rc<Upstream>) -> Proxying {
    let measures: Vec<Measure> = vec![
        ("proxy-c1-added-p50", "us", added_p50),
        ("proxy-c1-added-p99", "us", added_p99),
    ];
    Proxying::new(upstream, (1, 0, SPAN), Side::ALL, measures)
}

/// A thousand requests a second.
pub(crate) fn paced(upstream: &Rc<Upstream>) -> Proxying {
    let measures: Vec<Measure> = vec![
        ("proxy-1000rps-added-p99", "us", added_p99),
        ("proxy-cpu-1000rps", "mCPU", |found, side| found[&side].proxy * 1e3),
    ];
    Proxying::new(upstream, (10, 1000, PACED_SPAN), Side::ALL, measures)
}

/// Ours alone, with so many connections.
pub(crate) fn connections(name: &'static str, connections: usize, upstream: &Rc<Upstream>) -> Proxying {
    Proxying::new(
        upstream,
        (connections, 0, SPAN),
        &[Side::Ours],
        vec![(name, "req/s", rate)],
    )
}

fn rate(found: &BTreeMap<Side, Figures>, side: Side) -> f64 {
    found[&side].rate
}

fn added_p50(found: &BTreeMap<Side, Figures>, side: Side) -> f64 {
    found[&side].p50 - found[&Side::Direct].p50
}

fn added_p99(found: &BTreeMap<Side, Figures>, side: Side) -> f64 {
    found[&side].p99 - found[&Side::Direct].p99
}

impl Proxying {
    fn new(
        upstream: &Rc<Upstream>,
        (connections, rate, span): (usize, u32, Duration),
        sides: &'static [Side],
        measures: Vec<Measure>,
    ) -> Self {
        Self {
            upstream: Rc::clone(upstream),
            load: Load {
                connections,
                rate,
                span,
            },
            sides,
            names: measures.iter().map(|(name, ..)| *name).collect(),
            measures,
            rounds: Vec::new(),
        }
    }

    fn middle(&self, value: impl Fn(&BTreeMap<Side, Figures>) -> f64) -> f64 {
        median(&self.rounds.iter().map(value).collect::<Vec<_>>())
    }

    fn note(&self) -> String {
        let around = self.middle(|found| found[&Side::Ours].around * 100.0);
        let around = format!("{around:.0} % of a CPU around ours");
        if !self.sides.contains(&Side::Direct) {
            return around;
        }
        let direct = |value: fn(&Figures) -> f64| self.middle(|found| value(&found[&Side::Direct]));
        let (rate, p50, p99) = (direct(|it| it.rate), direct(|it| it.p50), direct(|it| it.p99));
        format!("{around}; the upstream itself {rate:.0}/s, p50 {p50:.1} us, p99 {p99:.1} us")
    }
}

impl Case for Proxying {
    fn names(&self) -> &[&'static str] {
        &self.names
    }

    fn round(&mut self, stage: &Stage, round: u32) -> anyhow::Result<String> {
        let mut found = BTreeMap::new();
        let mut shown = Vec::new();
        for side in in_turn(self.sides, round) {
            let figures = side.measure(stage, &self.load, &self.upstream)?;
            shown.push(format!(
                "{} {:.0}/s, p50 {:.1} us, p99 {:.1} us, {:.0} mCPU",
                side.name(),
                figures.rate,
                figures.p50,
                figures.p99,
                figures.proxy * 1e3
            ));
            found.insert(side, figures);
        }
        self.rounds.push(found);
        Ok(shown.join("; "))
    }

    fn rows(&self) -> Vec<Row> {
        let row = |&(name, unit, value): &Measure| {
            let middle = |side| self.middle(|found| value(found, side));
            let row = Row::new(name, unit, middle(Side::Ours), self.note());
            if self.sides.len() == 1 {
                return row;
            }
            let peers = Side::PEERS.iter().map(|side| (side.name(), middle(*side)));
            row.beside(middle(Side::Hyper)).among(peers)
        };
        self.measures.iter().map(row).collect()
    }
}
