//! Every upstream that somebody may still call, those of an older configuration too while calls are under way.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::upstream::{Origin, Upstream};

/// The upstreams that are alive, the newest first.
#[derive(Debug, Default)]
pub(super) struct Roster {
    upstreams: Mutex<Vec<Weak<Upstream>>>,
}

impl Roster {
    /// One more.
    pub(super) fn add(&self, upstream: &Arc<Upstream>) {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        upstreams.retain(|known| known.strong_count() > 0);
        upstreams.insert(0, Arc::downgrade(upstream));
    }

    /// The addresses of all that are alive, with their upstreams' names.
    pub(super) fn origins(&self) -> impl Iterator<Item = (Arc<str>, Arc<Origin>)> {
        let upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        let alive: Vec<Arc<Upstream>> = upstreams.iter().filter_map(Weak::upgrade).collect();
        alive.into_iter().flat_map(|upstream| {
            let of = |origin: &Arc<Origin>| (Arc::clone(&upstream.name), Arc::clone(origin));
            upstream.origins.iter().map(of).collect::<Vec<_>>()
        })
    }
}
