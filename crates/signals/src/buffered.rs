//! How many lines wait for each backend, looked up at each scrape.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use crate::hub::Hub;

/// Looks into the buffers.
#[derive(Debug)]
pub(crate) struct Buffered(Weak<Hub>);

impl Buffered {
    pub(crate) fn new(hub: &Arc<Hub>) -> Self {
        Self(Arc::downgrade(hub))
    }
}

impl Collector for Buffered {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(hub) = self.0.upgrade() else { return Ok(()) };
        let table = hub.table();
        let mut waiting: BTreeMap<&str, i64> = BTreeMap::new();
        // A backend that a rule gives settings of its own stands in the table for each of them.
        for outlet in &table.backends {
            let lines = i64::try_from(outlet.buffer.lines()).unwrap_or(i64::MAX);
            *waiting.entry(&outlet.name).or_default() += lines;
        }
        let help = "Lines that wait for a backend.";
        let mut family = encoder.encode_descriptor("backend_buffer_size", help, None, MetricType::Gauge)?;
        for (backend, lines) in waiting {
            let labels = [("backend", backend)];
            ConstGauge::new(lines).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
