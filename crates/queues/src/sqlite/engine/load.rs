//! Begins and ends an ownership: reads what the file says, and leaves it in order.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    super::{
        fault::Fault,
        ledger::{Consumer, Held, Ledger, Line, Place},
        reader::Reader,
        store::Store,
    },
    Alone, Asked, Batch, Engine, Holders, Parts, Retry, Trims, Work,
    apply::Remembered,
};

/// Tokens of one epoch: the owner's number stands above them.
const TOKEN_BITS: u32 = 40;

/// How long the file is not looked at while nothing happens: a look costs microseconds, and whoever makes a fresh file
/// in its place is to be told apart from us soon.
const LOOK: Duration = Duration::from_secs(2);

/// What waits until the messages in the file were counted.
pub(super) struct Uncounted {
    /// Messages that had a place at the start, by queue.
    placed: Vec<u64>,
    pub(super) waiting: Vec<Asked>,
}

/// Notices that the file was deleted or replaced under us.
pub(super) struct FileWatch {
    identity: Option<(u64, u64)>,
    checked: Instant,
}

impl<'db> Engine<'db> {
    /// Takes the next epoch and reads the state of every queue; bodies stay in the file.
    pub(in super::super) fn load(db: &'db Connection, parts: Parts) -> Result<Self, Fault> {
        let watch = FileWatch::new(&parts.path);
        let fault = |error: rusqlite::Error| Fault::of(&error, "read the queue file");
        let mut store = Store::new(db).map_err(fault)?;
        let mut ledger = Ledger::default();
        let mut names = std::collections::HashMap::new();
        for row in store.queues().map_err(fault)? {
            let name: Arc<str> = row.name.into();
            let line = ledger.add(Line::new(name.clone(), row.retention, row.reserved.max(1)));
            if i64::try_from(line) != Ok(row.id) {
                return Err(Fault::unusable("its list of queues has gaps: restore it from a backup"));
            }
            names.insert(name, line);
        }
        let mut holders = BTreeSet::new();
        for row in store.claims().map_err(fault)? {
            let place = match (row.holder, row.due) {
                (0, 0) => Place::Ready(row.mark),
                (0, due) => Place::Delayed(due, row.mark),
                (holder, _) => {
                    holders.insert(holder);
                    let by = Consumer { holder, number: 0 };
                    Place::Held(Held { mark: row.mark, by })
                }
            };
            if row.seq.line() >= ledger.lines().len() {
                return Err(Fault::unusable(
                    "it has claims of unknown queues: restore it from a backup",
                ));
            }
            ledger.set(row.seq, Some(place));
        }
        let mut remembered = Remembered::default();
        for (holder, id) in store.requests().map_err(fault)? {
            remembered.insert(holder, id);
        }
        remembered.commit();
        ledger.commit();
        holders.extend(remembered.holders());
        let placed = ledger.lines().iter().map(Line::placed).collect();
        let mailbox = parts.mailbox.clone();
        // The reader counts what is in the file before anything is written.
        let reader = Reader::start(&parts.path, ledger.lines().len(), mailbox)?;
        let token = store.next_epoch().map_err(fault)? << TOKEN_BITS;
        parts.files.sweep(&holders);
        Ok(Self {
            parts,
            store,
            reader,
            ledger,
            names,
            holders: Holders::new(holders),
            trims: Trims::default(),
            retry: Retry::new(),
            token,
            remembered,
            batch: Batch::default(),
            uncounted: Some(Uncounted {
                placed,
                waiting: Vec::new(),
            }),
            watch,
            broken: None,
            crashed: false,
            alone: match std::thread::available_parallelism() {
                Ok(processors) if processors.get() > 1 => Alone::No,
                _ => Alone::Yes,
            },
            answered: false,
            failing: 0,
        })
    }

    /// The epoch of this ownership.
    pub(in super::super) fn epoch(&self) -> u64 {
        self.token >> TOKEN_BITS
    }

    /// The count came: what waited for it can be done.
    pub(super) fn counted(&mut self, rows: &[(usize, i64)]) -> Vec<Work> {
        let Some(uncounted) = self.uncounted.take() else {
            return Vec::new();
        };
        for (line, rows) in rows {
            let placed = uncounted.placed.get(*line).copied().unwrap_or(0);
            self.ledger.line_mut(*line).count(rows - placed.cast_signed());
        }
        for (line, it) in self.ledger.lines().iter().enumerate() {
            if it.retention.is_some() && it.consumers() == 0 {
                self.trims.soon(line);
            }
        }
        uncounted.waiting.into_iter().map(Work::Ask).collect()
    }

    /// Writes what the next owner would else have to leave out, and lets the reader go.
    pub(super) fn finish(&mut self) {
        self.reader.stop();
        if self.broken.is_some() {
            return;
        }
        let written = self.store.begin().and_then(|()| {
            for (line, it) in self.ledger.lines().iter().enumerate() {
                self.store.reserve(line, it.next)?;
            }
            self.store.commit()
        });
        if let Err(error) = written {
            tracing::debug!(%error, "queue file kept its reserved numbers");
        }
    }
}

impl FileWatch {
    fn new(path: &Path) -> Self {
        Self {
            identity: identity(path),
            checked: Instant::now(),
        }
    }

    /// When to look though nothing happens.
    pub(super) fn at(&self) -> Instant {
        self.checked + LOOK
    }

    /// Looks at most once a second.
    pub(super) fn check(&mut self, path: &Path) -> Result<(), Fault> {
        let now = Instant::now();
        if now.duration_since(self.checked).as_secs() == 0 {
            return Ok(());
        }
        self.checked = now;
        if identity(path) == self.identity {
            return Ok(());
        }
        Err(Fault::unusable(
            "it was deleted or replaced while it was in use: stop every process that uses it, put the file back if \
             you can, and start again",
        ))
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}
