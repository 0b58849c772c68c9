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
    /// What connections have of lines whose ends have not come.
    pub(crate) begun: Arc<Pool>,
    /// What they have of lines that are not handed over yet, and of the sources that they remember.
    pub(crate) in_hand: Arc<Pool>,
    pub(crate) traces: Traces,
    pub(crate) tail: Arc<Tail>,
}

/// Bytes that all connections share.
#[derive(Debug)]
pub(crate) struct Pool {
    used: AtomicUsize,
    most: AtomicUsize,
}

/// What one connection has of a pool.
#[derive(Debug)]
pub(crate) struct Share {
    pool: Arc<Pool>,
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
            begun: Arc::default(),
            in_hand: Arc::default(),
            traces,
            tail: Arc::default(),
        }
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Puts another table in its place.
    pub(crate) fn set_table(&self, table: Table) {
        self.table.store(Arc::new(table));
    }
}

impl Pool {
    /// How many bytes there are; without it there is no bound.
    pub(crate) fn set_most(&self, bytes: usize) {
        self.most.store(bytes, Ordering::Relaxed);
    }

    /// Whether so much of it, in percent, is in use.
    pub(crate) fn is_used(&self, percent: usize) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        self.used.load(Ordering::Relaxed) >= (most / 100).saturating_mul(percent)
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            used: AtomicUsize::new(0),
            most: AtomicUsize::new(usize::MAX),
        }
    }
}

impl Share {
    /// Nothing yet.
    pub(crate) fn new(pool: &Arc<Pool>) -> Self {
        Self {
            pool: Arc::clone(pool),
            bytes: 0,
        }
    }

    /// The connection has so much now; where that is more than before, whether all together have no more than there is.
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes <= before {
            self.pool.used.fetch_sub(before - bytes, Ordering::Relaxed);
            return true;
        }
        let all = self.pool.used.fetch_add(bytes - before, Ordering::Relaxed) + bytes - before;
        all <= self.pool.most.load(Ordering::Relaxed)
    }
}

impl Drop for Share {
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
