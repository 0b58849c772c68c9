//! What the kit needs from whoever tests a transport.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{Queue, QueueError};

/// Opens the transport under test, and does to it what only its author can do.
///
/// Only [`open`](Harness::open) has to be written. The faults are optional: a case that needs one which is
/// [`Staged::Impossible`] is reported as not tried.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens the transport on a place: a file, a prefix, a virtual host. The first opening of a name finds it empty,
    /// a later one finds what was left there. A transport that promises `lease` can be opened twice at a time.
    async fn open(&self, place: &str) -> Result<Arc<dyn Queue>, QueueError>;

    /// Ends this handle as if its process had been killed: nothing is written for it any more, nothing handed back.
    async fn crash(&self, _place: &str, _queue: Arc<dyn Queue>) -> Staged {
        Staged::Impossible("the harness cannot crash this transport")
    }

    /// From now on nothing renews the leases of what this handle holds. A settle that it is asked for still goes out.
    async fn silence(&self, _place: &str, _queue: &Arc<dyn Queue>) -> Staged {
        Staged::Impossible("the harness cannot silence a holder")
    }

    /// The next `times` attempts to write how a delivery ended meet a failure that passes.
    async fn fail_settles(&self, _place: &str, _queue: &Arc<dyn Queue>, _times: u32) -> Staged {
        Staged::Impossible("the harness cannot make a settle fail")
    }

    /// The lease that handles are opened with; make it short (some 200 ms). `None` where there is none.
    fn lease(&self) -> Option<Duration> {
        None
    }

    /// How long at most until what should happen has happened; short of a broken promise nothing takes this long.
    fn patience(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// How long to listen before believing that nothing comes.
    fn quiet(&self) -> Duration {
        Duration::from_millis(60)
    }

    /// How much later than its time a delayed message may come, with nobody asking for it.
    fn lateness(&self) -> Duration {
        Duration::from_millis(400)
    }

    /// How long one case may take; those with many messages get six times as much.
    fn limit(&self) -> Duration {
        Duration::from_secs(20)
    }
}

/// Whether a fault could be brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staged {
    /// It was.
    Done,
    /// It cannot be, and why.
    Impossible(&'static str),
}
