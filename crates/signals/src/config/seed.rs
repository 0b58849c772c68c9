//! The older spelling: `sidecar`, `routing` and `backends` at the top of the file.

use chassis::config::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

use super::{Buffers, Signals, Tcp, Unix};

/// What monitoring sidecars had at the top of their files; `signals` says the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sidecar {
    /// Where lines are taken over TCP. Default `127.0.0.1:17000`.
    pub tcp: Tcp,
    /// Where lines are taken on a Unix socket. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unix: Option<Unix>,
    /// How much waits for a backend, and for how long.
    pub buffers: Buffers,
    /// What the plane may use.
    pub performance: Performance,
    /// Where the process can be watched.
    pub health: SeedHealth,
}

/// What the plane may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Performance {
    /// What the plane may hold in memory, in MiB. At least 16, default 128.
    #[schemars(range(min = 16))]
    pub max_memory_mb: u32,
    /// Without meaning here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_threads: Option<NonZeroUsize>,
    /// Without meaning here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gc_interval: Option<f64>,
}

/// Where the process can be watched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeedHealth {
    /// The port of the admin address on `127.0.0.1`, as `admin.listen` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_port: Option<u16>,
    /// Without meaning here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_interval: Option<f64>,
}

impl Default for Performance {
    fn default() -> Self {
        Self {
            max_memory_mb: Signals::default().max_memory_mb,
            worker_threads: None,
            gc_interval: None,
        }
    }
}

impl Sidecar {
    /// Its part of the plane.
    pub fn signals(&self) -> Signals {
        Signals {
            tcp: Some(self.tcp.clone()),
            unix: self.unix.clone(),
            buffers: self.buffers.clone(),
            max_memory_mb: self.performance.max_memory_mb,
            ..Signals::default()
        }
    }

    /// One notice for all keys that mean nothing here.
    pub fn check(&self, findings: &mut Findings) {
        let unread = [
            ("performance.worker_threads", self.performance.worker_threads.is_some()),
            ("performance.gc_interval", self.performance.gc_interval.is_some()),
            (
                "health.health_check_interval",
                self.health.health_check_interval.is_some(),
            ),
        ];
        let unread: Vec<&str> = unread.iter().filter(|(_, set)| *set).map(|(key, _)| *key).collect();
        if let Some(first) = unread.first() {
            let quoted: Vec<String> = unread.iter().map(|key| format!("`{key}`")).collect();
            let verb = if unread.len() == 1 { "means" } else { "mean" };
            let message = format!("{} {verb} nothing here", quoted.join(", "));
            findings.warning(*first, message, "leave it where it is: nothing depends on it");
        }
    }
}
