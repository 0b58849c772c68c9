//! The process itself as a source.

use chassis::config::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What Outrigger tells of itself: a `span` line for each hop of a message, a `progress` line whenever a handler says how far
/// it is, and its metrics as `metric` lines. They go the way of their source, like those of any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Internal {
    /// The source of these lines, which `routing` may name. Default `outrigger`.
    #[schemars(length(min = 1))]
    pub source: String,
    /// Between two looks at the metrics, in seconds or with a unit; 0 for none. Default `60s`.
    pub metrics_interval: Duration,
}

impl Default for Internal {
    fn default() -> Self {
        Self {
            source: "outrigger".to_owned(),
            metrics_interval: Duration::from_secs(60),
        }
    }
}
