//! What all connections share: where lines go at the moment, and what is counted.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;

use crate::{
    batch::{Buffer, Parcel},
    config::Backend,
    metrics::{BackendMetrics, Metrics},
    routing::Routes,
    tail::Tail,
    traces::Traces,
};

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Hub {
    table: ArcSwap<Table>,
    pub(crate) metrics: Metrics,
    /// Bytes of lines whose ends have not come, of all connections; and how many there may be.
    begun: AtomicUsize,
    most_begun: AtomicUsize,
    pub(crate) traces: Traces,
    pub(crate) tail: Arc<Tail>,
}

/// What one connection has of lines whose ends have not come.
#[derive(Debug)]
pub(crate) struct Begun {
    hub: Arc<Hub>,
    bytes: usize,
}

/// Where lines go at the moment. The backends of a table that nobody holds any more are brought to their end.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) routes: Routes<usize>,
    pub(crate) backends: Vec<Arc<Outlet>>,
}

/// The way to one backend. When nobody holds it any more, its buffer is closed.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) name: Arc<str>,
    /// What it was made of.
    pub(crate) config: Backend,
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) metrics: BackendMetrics,
    dropped: Metrics,
}

impl Hub {
    pub(crate) fn new(metrics: Metrics, traces: Traces) -> Self {
        Self {
            table: ArcSwap::from_pointee(Table::empty()),
            metrics,
            begun: AtomicUsize::new(0),
            most_begun: AtomicUsize::new(usize::MAX),
            traces,
            tail: Arc::default(),
        }
    }

    /// Bytes that lines whose ends have not come may take, of all connections together.
    pub(crate) fn set_most_begun(&self, bytes: usize) {
        self.most_begun.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Puts another table in its place.
    pub(crate) fn set_table(&self, table: Table) {
        self.table.store(Arc::new(table));
    }
}

impl Begun {
    pub(crate) fn new(hub: &Arc<Hub>) -> Self {
        Self {
            hub: Arc::clone(hub),
            bytes: 0,
        }
    }

    /// The connection has so much now; whether all connections together have no more than they may.
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes <= before {
            self.hub.begun.fetch_sub(before - bytes, Ordering::Relaxed);
            return true;
        }
        let all = self.hub.begun.fetch_add(bytes - before, Ordering::Relaxed) + bytes - before;
        all <= self.hub.most_begun.load(Ordering::Relaxed)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Table {
    /// Nothing goes anywhere.
    pub(crate) fn empty() -> Self {
        Self {
            routes: Routes::new(&BTreeMap::new(), Vec::new(), |_| None),
            backends: Vec::new(),
        }
    }
}

impl Outlet {
    pub(crate) fn new(name: Arc<str>, config: Backend, buffer: Arc<Buffer>, metrics: &Metrics) -> Self {
        Self {
            metrics: metrics.backend(&name),
            name,
            config,
            buffer,
            dropped: metrics.clone(),
        }
    }

    /// Lays lines down for the backend, as its buffer has it; says how many found no place.
    pub(crate) async fn push(&self, parcel: Parcel) -> usize {
        let lines = parcel.lines;
        let lost = self.buffer.push(parcel).await;
        self.dropped.dropped("buffer_full", lost.full);
        self.dropped.dropped("sampled", lost.sampled);
        self.metrics.routed(lines.saturating_sub(lost.full + lost.sampled));
        lost.full
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.buffer.close();
    }
}
