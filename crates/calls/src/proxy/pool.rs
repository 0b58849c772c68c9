//! Connections that wait for their next request.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::connect::Link;

/// The idle connections to one address; the last used one is taken first.
#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    link: Link,
    since: Instant,
}

/// How long a connection waits.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(55);
/// How many wait. Where more requests than that are under way at once, each answer closes a connection that the next one has to make.
const MOST: usize = 1024;

impl Pool {
    /// One on which a request can be sent, seen without waiting.
    pub(super) fn take(&self) -> Option<Link> {
        loop {
            let Idle { mut link, since } = self.lock().pop()?;
            if since.elapsed() < IDLE_TIME && is_usable(&mut link) {
                return Some(link);
            }
        }
    }

    /// Keeps one whose last answer has been read to its end.
    pub(super) fn keep(&self, mut link: Link) {
        if link.reader.has_more() {
            // It says something that nobody asked for.
            return;
        }
        link.reader.rest();
        let mut idle = self.lock();
        if idle.len() < MOST {
            idle.push(Idle {
                link,
                since: Instant::now(),
            });
        }
    }

    /// Closes those that have waited too long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.lock()
            .retain_mut(|idle| now.saturating_duration_since(idle.since) < IDLE_TIME && is_usable(&mut idle.link));
    }

    /// Closes all.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        // Every change is a single call: there is no half-made state that a panic could leave behind.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the other end has neither closed it nor said anything.
fn is_usable(link: &mut Link) -> bool {
    link.reader
        .poll_fill(&mut Context::from_waker(Waker::noop()))
        .is_pending()
}
