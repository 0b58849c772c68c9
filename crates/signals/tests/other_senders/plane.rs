//! A plane with a file behind it, and what is asked of it.

use std::{
    fs,
    future::Future,
    time::{Duration, Instant},
};

use chassis::{
    lifecycle::{Health, Outcome},
    telemetry::{Exposition, Metrics, Reports},
};
use serde_json::{Value, json};
use signals::{Plane, Signals, ingest::OtherAddresses};
use tempfile::TempDir;

/// A plane at work, in a folder of its own.
pub(crate) struct Running {
    pub(crate) plane: Plane,
    metrics: Metrics,
    folder: TempDir,
}

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);

impl Running {
    /// Starts it with these listeners; all lines go to a file at once.
    pub(crate) async fn start(listeners: Value) -> Self {
        Self::with(
            listeners,
            json!({ "file": { "type": "file", "path": "lines.jsonl", "flush_interval": 0 } }),
        )
        .await
    }

    /// Starts it with these listeners and backends.
    pub(crate) async fn with(listeners: Value, backends: Value) -> Self {
        let mut config = json!({ "tcp": { "port": 0 }, "backends": backends });
        config
            .as_object_mut()
            .unwrap()
            .extend(listeners.as_object().unwrap().clone());
        let config: Signals = serde_json::from_value(config).unwrap();
        let (folder, metrics) = (TempDir::new().unwrap(), Metrics::new());
        let plane = Plane::start(
            &config,
            folder.path(),
            &Health::new(),
            &metrics,
            Reports::new(&metrics).1,
        )
        .await
        .unwrap();
        Self { plane, metrics, folder }
    }

    pub(crate) fn addresses(&self) -> OtherAddresses {
        self.plane.other_addresses()
    }

    /// The lines that the file has.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("lines.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The lines of the file, once there are so many.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Value> {
        until(&format!("{count} lines"), async || {
            Some(self.lines()).filter(|lines| lines.len() >= count)
        })
        .await
    }

    /// What a counter says.
    pub(crate) fn count(&self, metric: &str) -> u64 {
        let text = self.metrics.encode(Exposition::Prometheus);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
        line.map_or(0, |count| count.parse().unwrap())
    }

    /// Waits until lines were dropped for a reason, so many.
    pub(crate) async fn wait_for_dropped(&self, reason: &str, lines: u64) {
        let metric = format!("sidecar_messages_dropped_total{{reason=\"{reason}\"}}");
        until(&format!("{lines} {reason}"), async || {
            (self.count(&metric) == lines).then_some(())
        })
        .await;
    }

    /// Ends it; what it had taken is in the file then.
    pub(crate) async fn finish(&self) {
        assert_eq!(self.plane.finish(Some(PATIENCE)).await, Outcome::Finished);
    }
}

/// Asks again until there is an answer.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
