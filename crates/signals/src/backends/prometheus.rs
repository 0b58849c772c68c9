//! Prometheus: metric lines added up to series, which it scrapes, or which are written to it.
//!
//! Nothing can fail here: a line is in its series, or left out for good.

mod names;
mod remote_write;
mod series;
mod shelf;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use wire::signal::{Line, Record};

pub(crate) use self::shelf::Shelf;
use self::{
    remote_write::RemoteWrite,
    series::{Kind, Left, Sample, Series},
};
use super::{Capacity, Failure, Refusal, Sink, Surroundings};
use crate::{batch::Batch, config::Prometheus as Config, routing::Pattern};

/// Adds metric lines up.
#[derive(Debug)]
pub(super) struct Prometheus {
    series: Arc<Series>,
    counters: Vec<Pattern>,
    /// Told when all lines are there.
    writer: Option<oneshot::Sender<()>>,
}

/// Why a line is left out.
const NO_METRIC: &str = "a metric needs a `name`, and a number as its `value`";
const BELOW_ZERO: &str = "a counter cannot be counted down";
const FULL: &str = "there are as many series as the backend may have: raise `max_series`, or use fewer tags";
const OTHER_KIND: &str = "the name is in use for a metric of another kind";

impl Prometheus {
    pub(super) fn new(config: &Config, place: &Surroundings<'_>) -> Result<Self, String> {
        let series = place.shelf.series(place.name);
        let writer = match &config.remote_write {
            None => None,
            Some(config) => Some(RemoteWrite::new(place.name, config, Arc::clone(&series), place.drain)?),
        };
        series.limit(config.max_series.get(), config.expire_after.get());
        let writer = writer.map(|writer| {
            let (tell, told) = oneshot::channel();
            place.drain.spawn("remote write", writer.run(told, place.drain.clone()));
            tell
        });
        Ok(Self {
            series,
            counters: config.counters.iter().map(Pattern::new).collect(),
            writer,
        })
    }

    /// What a metric line measured.
    fn sample(&self, record: &Record<'_>) -> Result<Sample, &'static str> {
        let data: Map<String, Value> = record
            .raw_data()
            .and_then(|data| serde_json::from_str(data).ok())
            .ok_or(NO_METRIC)?;
        let text = |key: &str| data.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (Some(name), Some(value)) = (text("name"), data.get("value").and_then(Value::as_f64)) else {
            return Err(NO_METRIC);
        };
        let mut tags = match data.get("tags") {
            Some(Value::Object(tags)) => tags.clone(),
            _ => Map::new(),
        };
        let kind = |value: Option<&Value>| match value.and_then(Value::as_str) {
            Some("counter") => Some(Kind::Counter),
            Some("gauge") => Some(Kind::Gauge),
            _ => None,
        };
        let of_tags = kind(tags.get("kind"));
        if of_tags.is_some() {
            tags.remove("kind");
        }
        let is_counter = || self.counters.iter().any(|pattern| pattern.matches(name));
        let kind = kind(data.get("kind"))
            .or(of_tags)
            .unwrap_or_else(|| if is_counter() { Kind::Counter } else { Kind::Gauge });
        let mut plain = names::metric(name);
        if kind == Kind::Counter {
            if value < 0.0 {
                return Err(BELOW_ZERO);
            }
            if !plain.ends_with("_total") {
                plain.push_str("_total");
            }
        }
        Ok(Sample {
            name: plain,
            kind,
            unit: text("unit").map(str::to_owned),
            labels: names::labels(&record.source, &tags),
            value,
            is_sum: text("temporality") == Some("cumulative"),
        })
    }
}

#[async_trait]
impl Sink for Prometheus {
    fn capacity(&self) -> Capacity {
        Capacity {
            lines: usize::MAX,
            bytes: 1 << 20,
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        let (mut samples, mut places) = (Vec::new(), Vec::new());
        let mut refusals: Vec<Refusal> = Vec::new();
        let mut refuse = |place: usize, why: &str| match refusals.iter_mut().find(|refusal| refusal.why == why) {
            Some(refusal) => refusal.lines.push(place),
            None => refusals.push(Refusal {
                lines: vec![place],
                why: why.to_owned(),
            }),
        };
        for (place, line) in batch.lines().enumerate() {
            let Ok(Line::Data(record)) = Line::read(line) else {
                continue;
            };
            if record.kind != "metric" {
                continue;
            }
            match self.sample(&record) {
                Ok(sample) => {
                    samples.push(sample);
                    places.push(place);
                }
                Err(why) => refuse(place, why),
            }
        }
        let left = self.series.take(samples);
        for (place, left) in places.into_iter().zip(left) {
            match left {
                None => {}
                Some(Left::Full) => refuse(place, FULL),
                Some(Left::OtherKind) => refuse(place, OTHER_KIND),
            }
        }
        Ok(refusals)
    }

    async fn close(&mut self) {
        if let Some(writer) = self.writer.take() {
            // Where it has gone already, the drain was cut.
            let _ = writer.send(());
        }
    }
}

#[cfg(test)]
mod tests;
