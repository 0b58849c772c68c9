//! What a plane tells of its work while it is at it, for a plane of the same process that carries it on.
//!
//! The one rule is that of spans: whoever tells never waits. What finds no room is dropped, and counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;
use wire::TraceContext;

use super::{Metrics, traces::Span};

/// Something that a plane tells.
#[derive(Debug, Clone)]
pub enum Report {
    /// A piece of work has ended.
    Span(Box<Span>),
    /// A piece of work goes on.
    Progress(Progress),
}

/// How far a piece of work is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The place of the work in its trace.
    pub place: Arc<TraceContext>,
    /// When it was so far.
    pub at: SystemTime,
    /// The job that the work is a part of.
    pub job: String,
    /// The message that is worked on.
    pub message: String,
    /// Who works on it.
    pub actor: Arc<str>,
    /// Of the whole, 0 to 100.
    pub percent: f64,
    /// For a person.
    pub status: Option<String>,
}

/// The way of reports to whoever carries them on; a cheap handle.
#[derive(Debug, Clone)]
pub struct Reports {
    sender: mpsc::Sender<Report>,
    wanted: Arc<AtomicBool>,
    dropped: Counter,
}

/// The other end of the way. Nothing is told until it is [wanted](Self::want).
#[derive(Debug)]
pub struct ReportInbox {
    receiver: mpsc::Receiver<Report>,
    wanted: Arc<AtomicBool>,
}

/// Reports that wait: a span with all its events takes a few KiB.
const WAITING: usize = 1024;

impl Reports {
    /// A way, and its other end.
    pub fn new(metrics: &Metrics) -> (Self, ReportInbox) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let (wanted, dropped) = (Arc::<AtomicBool>::default(), Counter::default());
        metrics.register(
            "reports_dropped",
            "Spans and progress of this process that its own telemetry plane had no room for",
            dropped.clone(),
        );
        let reports = Self {
            sender,
            wanted: Arc::clone(&wanted),
            dropped,
        };
        (reports, ReportInbox { receiver, wanted })
    }

    /// Whether anybody hears of it. If not, nothing need be gathered.
    pub fn are_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Takes a report if it is wanted and there is room for it.
    pub fn offer(&self, report: impl FnOnce() -> Report) {
        if self.are_wanted() && self.sender.try_send(report()).is_err() {
            self.dropped.inc();
        }
    }
}

impl ReportInbox {
    /// From now on reports are wanted, or are not any more.
    pub fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Waits for reports and puts those that are there, `most` at once, behind what `reports` has; says how many. 0: nobody
    /// is left who could tell anything.
    ///
    /// # Cancellation
    /// Dropping the future loses none.
    pub async fn receive(&mut self, reports: &mut Vec<Report>, most: usize) -> usize {
        self.receiver.recv_many(reports, most).await
    }

    /// The reports that are there already.
    pub fn ready(&mut self) -> impl Iterator<Item = Report> {
        std::iter::from_fn(|| self.receiver.try_recv().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Exposition;

    fn progress() -> Report {
        let place = TraceContext::root(wire::TraceId::new(1), wire::SpanId::new(2), wire::Sampling::Recorded);
        Report::Progress(Progress {
            place: Arc::new(place),
            at: SystemTime::now(),
            job: "j".to_owned(),
            message: "m".to_owned(),
            actor: "a".into(),
            percent: 1.0,
            status: None,
        })
    }

    #[test]
    fn what_nobody_wants_is_not_even_made_and_what_finds_no_room_is_counted() {
        let metrics = Metrics::new();
        let (reports, mut inbox) = Reports::new(&metrics);
        reports.offer(|| unreachable!("it is not wanted"));
        inbox.want(true);
        for _ in 0..WAITING + 3 {
            reports.offer(progress);
        }
        let dropped = metrics.encode(Exposition::Prometheus);
        assert!(dropped.contains("\nsidecar_reports_dropped_total 3\n"), "{dropped}");
        inbox.want(false);
        reports.offer(|| unreachable!("it is wanted no more"));
        assert_eq!(inbox.ready().count(), WAITING);
    }
}
