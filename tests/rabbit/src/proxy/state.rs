//! What all connections of a line share.

use std::{
    net::{Shutdown, TcpStream},
    sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use socket2::SockRef;

use super::{Trouble, line::Line};

/// Everything that is set from outside, and every connection that is open.
#[derive(Debug, Default)]
pub(super) struct State {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    over: bool,
    refusing: bool,
    stalled: bool,
    trouble: Option<(Trouble, fastrand::Rng)>,
    lines: Vec<Weak<Line>>,
    cuts: usize,
}

/// What was drawn for one connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Bytes until it is cut.
    pub(super) bytes: Option<u64>,
    pub(super) delay: Duration,
    /// For the delays of each direction.
    pub(super) seeds: [u64; 2],
}

impl State {
    pub(super) fn is_over(&self) -> bool {
        self.inner().over
    }

    /// Draws a new connection's terms; `None` where it is refused.
    pub(super) fn admit(&self) -> Option<Terms> {
        let mut inner = self.inner();
        if inner.refusing {
            return None;
        }
        let Some((trouble, random)) = &mut inner.trouble else {
            return Some(Terms {
                bytes: None,
                delay: Duration::ZERO,
                seeds: [0, 0],
            });
        };
        Some(Terms {
            bytes: Some(random.u64(trouble.bytes.clone())),
            delay: trouble.delay,
            seeds: [random.u64(..), random.u64(..)],
        })
    }

    pub(super) fn add(&self, line: Weak<Line>) {
        let mut inner = self.inner();
        inner.lines.retain(|line| line.strong_count() > 0);
        inner.lines.push(line);
    }

    /// Waits while nothing may pass.
    pub(super) fn pass(&self, line: &Line) {
        let mut inner = self.inner();
        while inner.stalled && !inner.over && !line.is_cut() {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn cut(&self) {
        for line in self.lines() {
            self.cut_one(&line);
        }
    }

    /// Cuts one connection, once.
    pub(super) fn cut_one(&self, line: &Line) {
        if line.cut() {
            self.inner().cuts += 1;
        }
        self.changed.notify_all();
    }

    pub(super) fn set_refusing(&self, refusing: bool) {
        self.inner().refusing = refusing;
    }

    pub(super) fn set_stalled(&self, stalled: bool) {
        self.inner().stalled = stalled;
        self.changed.notify_all();
    }

    pub(super) fn set_trouble(&self, trouble: Option<Trouble>) {
        self.inner().trouble = trouble.map(|trouble| {
            let random = fastrand::Rng::with_seed(trouble.seed);
            (trouble, random)
        });
    }

    pub(super) fn cuts(&self) -> usize {
        self.inner().cuts
    }

    pub(super) fn open(&self) -> usize {
        self.lines().len()
    }

    pub(super) fn end(&self) {
        self.inner().over = true;
        self.cut();
    }

    fn lines(&self) -> Vec<std::sync::Arc<Line>> {
        self.inner().lines.iter().filter_map(Weak::upgrade).collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the connection end without a farewell: with a reset, as one does that is lost.
pub(super) fn reset(stream: &TcpStream) {
    // It may have ended by itself.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Read);
}
