//! Who watches, and how lines get to them.
//!
//! What a read brings is cut for each watcher while its lines are sorted, ready to be sent, and handed over in one piece:
//! a watcher costs ingest a look at each line, and a copy of those that it wants.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::mpsc;
use wire::signal::Record;

use super::{Filter, Watch};

/// Who watches.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// How many there are; all that ingest looks at while there are none.
    count: AtomicUsize,
    watchers: ArcSwap<Vec<Arc<Watcher>>>,
    /// Held by whoever changes the list.
    change: Mutex<()>,
    closed: AtomicBool,
    /// What may wait for each of them.
    bytes: AtomicUsize,
}

/// One who watches.
#[derive(Debug)]
struct Watcher {
    filter: Filter,
    sender: mpsc::Sender<Bytes>,
    most: usize,
    account: Arc<Account>,
}

/// What both ends of a watcher count.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Bytes that wait for it.
    pub(super) queued: AtomicUsize,
    /// Lines that it lost and was not told of.
    pub(super) lost: AtomicU64,
}

/// What one read brings to those who watch.
#[derive(Debug)]
pub(crate) struct Cutting {
    watchers: Arc<Vec<Arc<Watcher>>>,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Default)]
struct Piece {
    text: Vec<u8>,
    lines: u64,
}

/// A piece that waits for a watcher: until the server has sent it, not only until it took it.
struct Queued {
    text: Vec<u8>,
    account: Arc<Account>,
}

/// So many watch already.
#[derive(Debug)]
pub(crate) struct Full;

/// How many may watch at a time.
pub(crate) const WATCHERS: usize = 16;
/// Pieces that wait for a watcher; their bytes are what is bounded, this is what each of them costs beside.
const PIECES: usize = 1024;

impl Tail {
    /// Says what all watchers together may hold, from the next one on.
    pub(crate) fn set_bytes(&self, bytes: usize) {
        self.bytes.store(bytes / WATCHERS, Ordering::Relaxed);
    }

    /// Somebody begins to watch; ends when what is given back is dropped.
    pub(crate) fn watch(self: &Arc<Self>, filter: Filter) -> Result<Watch, Full> {
        let (sender, receiver) = mpsc::channel(PIECES);
        let account = Arc::new(Account::default());
        let watcher = Arc::new(Watcher {
            filter,
            sender,
            most: self.bytes.load(Ordering::Relaxed),
            account: Arc::clone(&account),
        });
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        // Of one that is closed there is nothing to see: the watch ends at once.
        if !self.closed.load(Ordering::Relaxed) {
            let mut watchers = Vec::clone(&self.watchers.load());
            if watchers.len() >= WATCHERS {
                return Err(Full);
            }
            watchers.push(watcher);
            self.set(watchers);
        }
        Ok(Watch::new(Arc::clone(self), account, receiver))
    }

    /// Nothing comes any more: every watch ends when it has shown what it has.
    pub(crate) fn close(&self) {
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        self.closed.store(true, Ordering::Relaxed);
        self.set(Vec::new());
    }

    /// What a read is cut into; `None` while nobody watches.
    pub(crate) fn cutting(&self) -> Option<Cutting> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let watchers = self.watchers.load_full();
        Some(Cutting {
            pieces: vec![Piece::default(); watchers.len()],
            watchers,
        })
    }

    /// Somebody has stopped.
    pub(super) fn remove(&self, account: &Arc<Account>) {
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut watchers = Vec::clone(&self.watchers.load());
        watchers.retain(|watcher| !Arc::ptr_eq(&watcher.account, account));
        self.set(watchers);
    }

    fn set(&self, watchers: Vec<Arc<Watcher>>) {
        let count = watchers.len();
        self.watchers.store(Arc::new(watchers));
        self.count.store(count, Ordering::Relaxed);
    }
}

impl Cutting {
    /// A line of the read.
    pub(crate) fn take(&mut self, text: &[u8], record: &Record<'_>) {
        for (watcher, piece) in self.watchers.iter().zip(&mut self.pieces) {
            if watcher.filter.allows(record) {
                piece.push(text);
            }
        }
    }

    /// Hands over what was cut, without waiting.
    pub(crate) fn finish(self) {
        for (watcher, piece) in self.watchers.iter().zip(self.pieces) {
            if piece.lines > 0 {
                watcher.send(piece);
            }
        }
    }
}

impl Watcher {
    /// Puts a piece in the queue, or counts it as lost.
    fn send(&self, Piece { mut text, lines }: Piece) {
        let Account { queued, lost } = &*self.account;
        let waiting = queued.load(Ordering::Relaxed);
        if waiting > 0 && waiting + text.len() > self.most {
            lost.fetch_add(lines, Ordering::Relaxed);
            return;
        }
        let missed = lost.swap(0, Ordering::Relaxed);
        if missed > 0 {
            // Told where it happened.
            text.splice(..0, told(missed).into_bytes());
        }
        text.shrink_to_fit();
        queued.fetch_add(text.len(), Ordering::Relaxed);
        let queued = Queued {
            text,
            account: Arc::clone(&self.account),
        };
        if self.sender.try_send(Bytes::from_owner(queued)).is_err() {
            lost.fetch_add(missed + lines, Ordering::Relaxed);
        }
    }
}

impl AsRef<[u8]> for Queued {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.account.queued.fetch_sub(self.text.len(), Ordering::Relaxed);
    }
}

impl Piece {
    /// Adds a line as a server-sent event.
    fn push(&mut self, line: &[u8]) {
        self.text.reserve(line.len() + 8);
        self.text.extend_from_slice(b"data: ");
        let begin = self.text.len();
        self.text.extend_from_slice(line);
        // Between the tokens of JSON it is white space, in an event it would begin another line.
        for byte in &mut self.text[begin..] {
            if *byte == b'\r' {
                *byte = b' ';
            }
        }
        self.text.extend_from_slice(b"\n\n");
        self.lines += 1;
    }
}

/// The event that tells a watcher what it missed.
pub(super) fn told(lost: u64) -> String {
    format!("event: lost\ndata: {{\"lost\":{lost}}}\n\n")
}
