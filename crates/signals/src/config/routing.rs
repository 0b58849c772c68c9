//! Which lines go where.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Sends lines to a backend.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The backend's name.
    pub backend: String,
    /// Whether the rule counts. Default true.
    #[serde(default = "yes")]
    #[schemars(default = "yes")]
    pub enabled: bool,
    /// Which lines it is for. Default all.
    #[serde(default)]
    pub filter: Filter,
    /// The share of those lines that go through, 0 to 1; a trace goes through whole or not at all. Default 1.
    #[serde(default = "all")]
    #[schemars(default = "all", range(min = 0.0, max = 1.0))]
    pub sample: f64,
    /// Settings of the backend that are others for these lines. Default none.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Value>")]
    pub config: Map<String, Value>,
    /// Without meaning here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
}

/// Which lines a rule is for: those that satisfy all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// The line's `type` is one of these. Default any.
    pub types: Vec<String>,
    /// The line's `level` is at least this one; a line without a level is not. Default any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The `name` of the metric or span is one of these, `*` standing for any characters. Default any.
    pub names: Vec<String>,
    /// Members of `ctx` that have these values, as texts. Default none.
    pub ctx: BTreeMap<String, Value>,
    /// Members of `tags` that have these values, as texts. Default none.
    pub tags: BTreeMap<String, Value>,
}

/// How much an event matters, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// As it should be.
    Info,
    /// Odd.
    #[serde(alias = "warning")]
    Warn,
    /// Something failed.
    Error,
    /// All failed.
    #[serde(alias = "critical")]
    Fatal,
}

/// A routing test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows; named when it fails.
    pub name: String,
    /// Lines, each as an object or as the text that a program would send.
    pub lines: Vec<Value>,
    /// The backends that every one of the lines reaches, and no other; an empty list for none. Sampling is left out.
    pub reach: Vec<String>,
}

impl Level {
    /// As lines have it.
    pub fn wire(self) -> wire::signal::Level {
        use wire::signal::Level as Wire;
        match self {
            Self::Debug => Wire::Debug,
            Self::Info => Wire::Info,
            Self::Warn => Wire::Warn,
            Self::Error => Wire::Error,
            Self::Fatal => Wire::Fatal,
        }
    }
}

fn yes() -> bool {
    true
}

fn all() -> f64 {
    1.0
}
