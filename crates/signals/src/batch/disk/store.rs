//! The handle of a disk buffer: what is asked of its thread, and what all who have it share.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use chassis::lifecycle::Hold;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Parcel,
        buffer::Bell,
        policy::{Lost, Tally, Terms},
    },
    file::{self, Fault},
    ledger::Ledger,
    writer::{self, Command, Laid, Writer},
};
use crate::metrics::Metrics;

/// One backend's file, open for as long as anybody has the handle. A reload hands it on to the backend's successor.
#[derive(Debug)]
pub(crate) struct Disk {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    pub(in crate::batch) bell: Arc<Bell>,
    /// Held by the one who delivers what is in it.
    seat: tokio::sync::Mutex<()>,
    /// Tells that one that another is to deliver.
    holder: Mutex<Option<CancellationToken>>,
}

/// What the thread tells.
#[derive(Debug)]
pub(super) struct Shared {
    tally: Mutex<Tally>,
    trouble: watch::Sender<Option<String>>,
}

/// Commands that wait for the thread.
const COMMANDS: usize = 256;

impl Disk {
    /// Opens a file, with what an earlier process has left there, and starts its thread; a corrupt one is put aside.
    ///
    /// # Errors
    /// Why it cannot be used, in one sentence.
    pub(crate) fn open(path: &Path, metrics: &Metrics, hold: Hold) -> Result<Arc<Self>, String> {
        let in_words = |fault: &Fault| format!("its disk buffer {} cannot be used: {fault}", path.display());
        let load = || Ledger::load(file::open(path)?, metrics.clone(), 1);
        let ledger = load().or_else(|fault| {
            if let Fault::Corrupt(_) = fault {
                writer::put_aside(path, &fault);
                return load();
            }
            Err(fault)
        });
        let ledger = ledger.map_err(|fault| in_words(&fault))?;
        let shared = Arc::new(Shared {
            tally: Mutex::new(ledger.tally()),
            trouble: watch::Sender::new(None),
        });
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let writer = Writer {
            path: PathBuf::from(path),
            metrics: metrics.clone(),
            next: ledger.next(),
            ledger: Some(ledger),
            commands: receiver,
            shared: Arc::clone(&shared),
            is_short: false,
            hold,
        };
        let thread = thread::Builder::new().name("disk-buffer".to_owned());
        thread
            .spawn(move || writer.run())
            .map_err(|error| format!("its disk buffer needs a thread: {error}"))?;
        Ok(Arc::new(Self {
            commands,
            shared,
            bell: Arc::default(),
            seat: tokio::sync::Mutex::default(),
            holder: Mutex::default(),
        }))
    }

    /// Lays a parcel down; answered when it is written.
    ///
    /// # Cancellation
    /// It may be laid down all the same.
    pub(in crate::batch) async fn lay(&self, terms: Terms, parcel: Parcel) -> (Lost, Option<Parcel>, Tally, bool) {
        let lines = parcel.lines;
        let asked = |answer| Command::Lay { parcel, terms, answer };
        match self.ask(asked).await {
            Some(Laid {
                lost,
                rest,
                tally,
                is_first,
            }) => (lost, rest, tally, is_first),
            None => (
                Lost {
                    full: lines,
                    sampled: 0,
                },
                None,
                self.tally(),
                false,
            ),
        }
    }

    /// The oldest lines; `None` where the file cannot be read now. What was given out and has not left comes again.
    ///
    /// # Cancellation
    /// Dropping the future takes nothing.
    pub(in crate::batch) async fn pick(&self, lines: usize, bytes: usize) -> Option<Vec<Parcel>> {
        let asked = |answer| Command::Pick { lines, bytes, answer };
        self.ask(asked).await.flatten()
    }

    /// So many of the lines that were given out have left, and the others wait again; whether that is written.
    pub(in crate::batch) async fn finish(&self, lines: usize) -> bool {
        let asked = |answer| Command::Finish { lines, answer };
        self.ask(asked).await.unwrap_or(false)
    }

    pub(in crate::batch) fn tally(&self) -> Tally {
        self.shared.tally()
    }

    /// Why it cannot be used now; told again whenever that changes.
    pub(in crate::batch) fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.shared.trouble.subscribe()
    }

    /// Has whoever delivers now make way for the holder of this token.
    pub(in crate::batch) fn pass_on(&self, to: &CancellationToken) {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = holder.replace(to.clone()) {
            before.cancel();
        }
    }

    /// Waits until nobody else delivers; nobody else will while the guard is held.
    pub(in crate::batch) async fn seat(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.seat.lock().await
    }

    /// Has the file behave as on a full disk, or not.
    #[cfg(test)]
    pub(super) async fn squeeze(&self, on: bool) {
        self.ask(|answer| Command::Squeeze { on, answer }).await;
    }

    async fn ask<T>(&self, asked: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(asked(answer)).await.ok()?;
        answered.await.ok()
    }
}

impl Shared {
    pub(super) fn tally(&self) -> Tally {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_tally(&self, tally: Tally) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = tally;
    }

    /// Tells why the file cannot be used, or that it can; whether that is news.
    pub(super) fn trouble(&self, why: Option<String>) -> bool {
        self.trouble.send_if_modified(|known| {
            let is_news = *known != why;
            *known = why;
            is_news
        })
    }
}
