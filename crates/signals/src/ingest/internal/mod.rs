//! The process itself as a source: the spans, the progress and the metrics of its planes, as lines like any other's.
//!
//! The one rule: a plane that tells something never waits for a backend. What it tells waits on a way with a bound, and is
//! dropped and counted where that is full.

mod lines;

use std::{sync::Arc, time::SystemTime};

use chassis::{
    lifecycle::Drain,
    telemetry::{Metrics as Registry, Report, ReportInbox},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::inlet::Inlet;
use crate::{config, hub::Hub};

/// Makes lines of what is told of this process.
#[derive(Debug)]
pub(crate) struct Internal {
    inbox: ReportInbox,
    registry: Registry,
    /// As whose lines; `None`: not at all.
    terms: watch::Receiver<Option<config::Internal>>,
    inlet: Inlet,
}

/// Reports that become lines before these are handed over.
const BATCH: usize = 128;

impl Internal {
    pub(crate) fn new(
        inbox: ReportInbox,
        registry: &Registry,
        terms: watch::Receiver<Option<config::Internal>>,
        hub: &Arc<Hub>,
    ) -> Self {
        Self {
            inbox,
            registry: registry.clone(),
            terms,
            inlet: Inlet::new(hub, "this process".to_owned()),
        }
    }

    /// Tells until the drain begins; then what had been told by then, and the metrics once more.
    pub(crate) async fn run(mut self, drain: Drain) {
        let mut reports = Vec::new();
        let (mut measured, mut ends, mut is_silent) = (Instant::now(), false, false);
        while !ends {
            let terms = self.terms.borrow_and_update().clone();
            self.inbox.want(terms.is_some());
            let interval = terms.as_ref().map(|terms| terms.metrics_interval.get());
            let interval = interval.filter(|interval| !interval.is_zero());
            let due = interval.map(|interval| measured + interval);
            tokio::select! {
                biased;
                () = drain.begun() => ends = true,
                changed = self.terms.changed() => ends = changed.is_err(),
                came = self.inbox.receive(&mut reports, BATCH), if !is_silent => is_silent = came == 0,
                () = async { sleep_until(due.expect("asked before")).await }, if due.is_some() => {}
            }
            if ends {
                reports.extend(self.inbox.ready());
            }
            let Some(config::Internal { source, .. }) = &terms else {
                reports.clear();
                continue;
            };
            self.inlet.begin();
            for report in reports.drain(..) {
                // A line that would be too long is counted as that.
                let _ = match &report {
                    Report::Span(span) => self.inlet.take(&lines::span(source, span)),
                    Report::Progress(progress) => self.inlet.take(&lines::progress(source, progress)),
                };
            }
            if due.is_some_and(|due| ends || Instant::now() >= due) {
                measured = Instant::now();
                let now = lines::time(SystemTime::now());
                for line in self
                    .registry
                    .samples()
                    .iter()
                    .filter_map(|sample| lines::metric(source, sample, &now))
                {
                    let _ = self.inlet.take(&line);
                }
            }
            tokio::select! {
                biased;
                _ = self.inlet.flush() => {}
                () = drain.cut() => return,
            }
        }
    }
}
