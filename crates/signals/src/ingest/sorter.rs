//! Lays the lines of one connection down in front of their backends.
//!
//! Lines are sorted while they are read, without waiting; the parcels that come of a read are then handed over, and that
//! waits where a backend holds senders back.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Instant, SystemTime},
};

use wire::signal::Record;

use crate::{
    batch::Parcel,
    hub::{Hub, Share, Table},
    metrics::Source,
    routing::{Missed, Way},
    tail::Cutting,
    traces::SpanLine,
};

/// Sorts the lines of one connection.
#[derive(Debug)]
pub(super) struct Sorter {
    hub: Arc<Hub>,
    table: Arc<Table>,
    lanes: Vec<Lane>,
    by_source: HashMap<Arc<str>, usize>,
    /// The lane of the line before.
    last: usize,
    parcels: Vec<(usize, Parcel)>,
    reached: Vec<usize>,
    missed: Misses,
    now: (SystemTime, Instant),
    /// Bytes that the lines of this read may take, for the first parcel that is made of them.
    room: usize,
    /// Spans of this read, whatever becomes of their lines.
    spans: Vec<SpanLine>,
    /// Where somebody watches.
    cutting: Option<Cutting>,
    /// What all of this takes.
    in_hand: Share,
}

/// The lines of one source.
#[derive(Debug)]
struct Lane {
    source: Arc<str>,
    account: Arc<Source>,
    way: Option<Arc<Way<usize>>>,
    received: usize,
    /// Which parcel is for which backend.
    parcels: Vec<(usize, usize)>,
}

/// Lines that reach nobody.
#[derive(Debug, Default)]
struct Misses {
    no_route: usize,
    filtered: usize,
    sampled: usize,
}

/// Sources of one connection that are remembered.
const LANES: usize = 1024;
/// What a source that is remembered takes in memory, its name and its places in the tables included.
const LANE: usize = size_of::<Lane>() + 160;
/// How much of what connections may have in hand, in percent, leaves no room to remember sources.
const CROWDED: usize = 50;

impl Sorter {
    pub(super) fn new(hub: &Arc<Hub>) -> Self {
        Self {
            hub: Arc::clone(hub),
            table: hub.table(),
            lanes: Vec::new(),
            by_source: HashMap::new(),
            last: 0,
            parcels: Vec::new(),
            reached: Vec::new(),
            missed: Misses::default(),
            now: (SystemTime::now(), Instant::now()),
            room: 0,
            spans: Vec::new(),
            cutting: None,
            in_hand: Share::new(&hub.in_hand),
        }
    }

    /// Whether connections have so much in hand already that little should be read at once.
    pub(super) fn is_laden(&self) -> bool {
        self.hub.in_hand.is_used(100)
    }

    /// So many bytes of lines have come.
    pub(super) fn begin(&mut self, bytes: usize) {
        self.room = bytes;
        self.now = (SystemTime::now(), Instant::now());
        self.cutting = self.hub.tail.cutting();
        let table = self.hub.table();
        if !Arc::ptr_eq(&table, &self.table) || self.lanes.len() > LANES {
            self.table = table;
            self.forget_sources();
        }
    }

    /// Gives the memory back that they take.
    fn forget_sources(&mut self) {
        self.lanes = Vec::new();
        self.by_source = HashMap::new();
        self.parcels = Vec::new();
    }

    /// A line that could be read.
    pub(super) fn take(&mut self, text: &[u8], record: &Record<'_>) {
        let index = self.lane(&record.source);
        let lane = &mut self.lanes[index];
        lane.received += 1;
        self.spans.extend(SpanLine::of(record, &lane.source));
        if let Some(cutting) = &mut self.cutting {
            cutting.take(text, record);
        }
        let Some(way) = &lane.way else {
            self.missed.no_route += 1;
            return;
        };
        self.reached.clear();
        match way.decide(record, &mut self.reached) {
            Ok(()) => {}
            Err(Missed::Filtered) => self.missed.filtered += 1,
            Err(Missed::Sampled) => self.missed.sampled += 1,
        }
        for backend in &self.reached {
            let known = lane.parcels.iter().find(|(of, _)| of == backend);
            let at = if let Some((_, at)) = known {
                *at
            } else {
                let at = self.parcels.len();
                let mut parcel = Parcel::new(&lane.source, &lane.account, self.now.0, self.now.1);
                // Most reads bring the lines of one source for one backend.
                parcel.text.reserve_exact(std::mem::take(&mut self.room));
                self.parcels.push((*backend, parcel));
                lane.parcels.push((*backend, at));
                at
            };
            self.parcels[at].1.push(text);
        }
    }

    /// Waits until no backend would hold the first of the lines for it back.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub(super) async fn room(&self) {
        for (backend, parcel) in &self.parcels {
            self.table.backends[*backend].buffer.room_for(parcel).await;
        }
    }

    /// Leaves what was sorted as if it had never come.
    pub(super) fn forget(&mut self) {
        for lane in &mut self.lanes {
            lane.received = 0;
            lane.parcels.clear();
        }
        self.missed = Misses::default();
        self.parcels.clear();
        self.spans.clear();
        self.cutting = None;
    }

    /// Hands over what was sorted; says how many lines found no place at a backend.
    ///
    /// # Cancellation
    /// What is not handed over yet is dropped, and counted as that.
    pub(super) async fn flush(&mut self) -> usize {
        if !self.spans.is_empty() {
            self.hub.traces.note(std::mem::take(&mut self.spans), self.now.1);
        }
        if let Some(cutting) = self.cutting.take() {
            cutting.finish();
        }
        for lane in &mut self.lanes {
            if lane.received > 0 {
                lane.account.received(std::mem::take(&mut lane.received));
                lane.parcels.clear();
            }
        }
        let Misses {
            no_route,
            filtered,
            sampled,
        } = std::mem::take(&mut self.missed);
        self.hub.metrics.dropped("no_route", no_route);
        self.hub.metrics.dropped("filtered", filtered);
        self.hub.metrics.dropped("sampled", sampled);
        let mut parcels = Handover {
            hub: &self.hub,
            parcels: std::mem::take(&mut self.parcels),
        };
        for (_, parcel) in &mut parcels.parcels {
            parcel.fit();
        }
        let sizes = parcels.parcels.iter().map(|(_, parcel)| parcel.size());
        self.in_hand.set(self.lanes.len() * LANE + sizes.sum::<usize>());
        parcels.parcels.reverse();
        let mut lost = 0;
        while let Some((backend, parcel)) = parcels.parcels.pop() {
            lost += self.table.backends[backend].push(parcel).await;
        }
        let empty = std::mem::take(&mut parcels.parcels);
        drop(parcels);
        self.parcels = empty;
        // One source, as most connections have, is not worth it.
        if self.lanes.len() > 1 && self.hub.in_hand.is_used(CROWDED) {
            self.forget_sources();
        }
        self.in_hand.set(self.lanes.len() * LANE);
        lost
    }

    fn lane(&mut self, source: &str) -> usize {
        if self.lanes.get(self.last).is_some_and(|lane| &*lane.source == source) {
            return self.last;
        }
        let index = if let Some(index) = self.by_source.get(source) {
            *index
        } else {
            let source: Arc<str> = source.into();
            self.by_source.insert(Arc::clone(&source), self.lanes.len());
            self.lanes.push(Lane {
                account: self.hub.metrics.source(&source),
                way: self.table.routes.of(&source),
                source,
                received: 0,
                parcels: Vec::new(),
            });
            self.lanes.len() - 1
        };
        self.last = index;
        index
    }
}

/// Parcels on their way; those that are left when it ends are counted as dropped.
struct Handover<'a> {
    hub: &'a Hub,
    parcels: Vec<(usize, Parcel)>,
}

impl Drop for Handover<'_> {
    fn drop(&mut self) {
        let left = self.parcels.iter().map(|(_, parcel)| parcel.lines).sum();
        self.hub.metrics.dropped("buffer_full", left);
    }
}

#[cfg(test)]
mod tests {
    use chassis::telemetry::Metrics as Registry;
    use wire::signal::Line;

    use super::*;
    use crate::{
        metrics::Metrics,
        tail::Filter,
        traces::{TraceMetrics, Traces},
    };

    #[tokio::test]
    async fn what_is_forgotten_is_neither_kept_as_a_span_nor_shown_to_watchers() {
        let registry = Registry::new();
        let traces = Traces::new(TraceMetrics::new(&registry));
        traces.set_bytes(1 << 20);
        let hub = Arc::new(Hub::new(Metrics::new(&registry), traces));
        let mut watch = hub.tail.watch(Filter::default()).unwrap();
        let mut sorter = Sorter::new(&hub);
        let line = |trace: &str| format!(r#"{{"src":"a","ts":1,"type":"span","tid":"{trace}","sid":"s"}}"#);
        let take = |sorter: &mut Sorter, text: &str| {
            let Ok(Line::Data(record)) = Line::read(text.as_bytes()) else {
                panic!("no data line: {text}");
            };
            sorter.take(text.as_bytes(), &record);
        };
        sorter.begin(0);
        take(&mut sorter, &line("forgotten"));
        sorter.forget();
        sorter.flush().await;
        sorter.begin(0);
        take(&mut sorter, &line("kept"));
        sorter.flush().await;
        let now = Instant::now();
        assert!(hub.traces.spans("forgotten", now).is_none());
        assert!(hub.traces.spans("kept", now).is_some());
        let shown = watch.next().await.unwrap();
        assert_eq!(shown, format!("data: {}\n\n", line("kept")));
    }
}
