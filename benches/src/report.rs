//! What the bench prints: one JSON object, or a table.

use std::{collections::BTreeMap, fs, path::Path, thread};

use serde::{Serialize, Serializer};

use crate::{case::Stage, pin::Pins};

/// Everything that one run found.
#[derive(Debug, Serialize)]
pub struct Report {
    bench: &'static str,
    /// What it was measured on.
    pub machine: String,
    /// The load average of the minute before the run.
    load: f64,
    /// How many rounds each median is of.
    pub rounds: u32,
    /// The cases.
    pub rows: Vec<Row>,
}

/// One case; every value is the median of the rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its name.
    pub case: &'static str,
    /// What its values are in.
    pub unit: &'static str,
    /// The product.
    #[serde(serialize_with = "short")]
    pub ours: f64,
    /// A bare program that does the same work.
    #[serde(serialize_with = "maybe_short", skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// Other systems, by name.
    #[serde(serialize_with = "all_short", skip_serializing_if = "BTreeMap::is_empty")]
    pub peers: BTreeMap<&'static str, f64>,
    /// What else is to be known of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Row {
    /// A case without a floor.
    pub fn new(case: &'static str, unit: &'static str, ours: f64, note: impl Into<String>) -> Self {
        Self {
            case,
            unit,
            ours,
            floor: None,
            peers: BTreeMap::new(),
            note: note.into(),
        }
    }

    /// Beside other systems.
    pub fn among(self, peers: impl Iterator<Item = (&'static str, f64)>) -> Self {
        Self {
            peers: peers.collect(),
            ..self
        }
    }

    /// Beside a bare program.
    pub fn beside(self, floor: f64) -> Self {
        Self {
            floor: Some(floor),
            ..self
        }
    }
}

impl Report {
    /// An empty one, which says what machine it is as it is now.
    pub fn new(bench: &'static str, stage: &Stage) -> Self {
        Self {
            bench,
            machine: machine(&stage.folder, stage.pins),
            load: load(),
            rounds: 0,
            rows: Vec::new(),
        }
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut table = format!(
            "{:<24} {:>10} {:>10} {:>6}  {:<7} {}\n",
            "case", "ours", "floor", "ratio", "unit", "note"
        );
        for row in &self.rows {
            let floor = row.floor.map(in_short).unwrap_or_default();
            let ratio = row
                .floor
                .map(|floor| format!("{:.2}", row.ours / floor))
                .unwrap_or_default();
            let line = format!(
                "{:<24} {:>10} {floor:>10} {ratio:>6}  {:<7} {}",
                row.case,
                in_short(row.ours),
                row.unit,
                row.note
            );
            table += line.trim_end();
            table += "\n";
            for (name, value) in &row.peers {
                let (value, ratio) = (in_short(*value), row.ours / value);
                let line = format!("{name:>35} {value:>10} {ratio:>6.2}  {}\n", row.unit);
                table += &line;
            }
        }
        table
            + &format!(
                "\n{}\nload {:.2} at the start, {} rounds\n",
                self.machine, self.load, self.rounds
            )
    }
}

/// The file system that a folder is on, as the kernel calls it.
pub fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let words = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let holding = words.filter(|words| words.get(1).is_some_and(|place| folder.starts_with(place)));
    let deepest = holding.max_by_key(|words| words[1].len());
    let kind = deepest.and_then(|words| words.get(2).map(|kind| (*kind).to_owned()));
    kind.unwrap_or_else(|| "unknown".to_owned())
}

fn machine(folder: &Path, pins: Pins) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let name = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let name = name.map_or("unknown processor", |(_, name)| name);
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease");
    let disk = file_system(folder);
    format!(
        "{name}, {cores} cpus, Linux {}, files on {disk}; {}",
        kernel.trim(),
        pins.describe()
    )
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let minute = text.split(' ').next().and_then(|minute| minute.parse().ok());
    minute.unwrap_or_default()
}

/// Four digits that mean something, as many as a measurement has.
fn rounded(value: f64) -> f64 {
    let digits = match value.abs() {
        1000.0.. => 1.0,
        100.0..1000.0 => 10.0,
        10.0..100.0 => 100.0,
        _ => 1000.0,
    };
    (value * digits).round() / digits
}

fn in_short(value: f64) -> String {
    rounded(value).to_string()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a field by reference")]
fn short<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*value))
}

#[expect(clippy::ref_option, reason = "serde passes a field by reference")]
fn maybe_short<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(rounded).serialize(serializer)
}

fn all_short<S: Serializer>(values: &BTreeMap<&'static str, f64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(values.iter().map(|(name, value)| (name, rounded(*value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_only_what_was_measured() {
        let row = Row::new("ready", "ms", 12.345_678, "");
        let json = serde_json::to_string(&row).unwrap();
        assert_eq!(json, r#"{"case":"ready","unit":"ms","ours":12.35}"#);
        let row = row.beside(2.0).among([("celery", 1234.56)].into_iter());
        let beside = serde_json::to_string(&row).unwrap();
        assert_eq!(
            beside,
            r#"{"case":"ready","unit":"ms","ours":12.35,"floor":2.0,"peers":{"celery":1235.0}}"#
        );
    }
}
