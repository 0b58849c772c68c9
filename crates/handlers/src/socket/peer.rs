//! What is known of the handler behind a path, over all its connections.

use std::{
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing::{debug, warn};
use wire::{Hello, Protocol};

use super::options::{Dialect, SocketOptions};

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) options: SocketOptions,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    protocol: Option<Protocol>,
    hello: Option<Arc<Hello>>,
    /// The socket's file when it said hello.
    file: Option<FileId>,
}

/// What a fresh connection begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    Hello,
    Silence,
    Either,
}

/// Device, inode and the time of its change: a socket that is bound anew is another file.
type FileId = (u64, u64, i64, i64);

impl Peer {
    pub(super) fn new(options: SocketOptions) -> Self {
        Self {
            options,
            known: Mutex::default(),
        }
    }

    pub(super) fn expect(&self) -> Expect {
        match self.options.dialect {
            Dialect::One => Expect::Hello,
            Dialect::Plain => Expect::Silence,
            Dialect::Auto => match self.known().protocol {
                Some(Protocol::One) => Expect::Hello,
                Some(Protocol::Plain) => Expect::Silence,
                None => Expect::Either,
            },
        }
    }

    pub(super) fn hello(&self) -> Option<Arc<Hello>> {
        self.known().hello.clone()
    }

    pub(super) fn said_hello(&self, hello: Hello) {
        let handler = &self.options.path;
        let file = file_id(handler);
        let mut known = self.known();
        let news = known.hello.as_deref() != Some(&hello);
        let protocol = hello.protocol;
        known.file = file;
        known.protocol = Some(Protocol::One);
        if news {
            known.hello = Some(Arc::new(hello));
        }
        drop(known);
        if news && protocol == Hello::PROTOCOL {
            debug!(handler = %handler.display(), "handler speaks protocol 1");
        } else if news {
            warn!(handler = %handler.display(), protocol, "handler speaks a protocol that is not known, protocol 1 is used");
        }
    }

    /// Nothing came in time where either could be.
    pub(super) fn was_silent(&self) {
        let mut known = self.known();
        if known.protocol.is_none() {
            known.protocol = Some(Protocol::Plain);
        }
    }

    /// No hello came where one had to; true when that is because another handler has taken its place.
    pub(super) fn is_another(&self) -> bool {
        if self.options.dialect == Dialect::One {
            return false;
        }
        let file = file_id(&self.options.path);
        let mut known = self.known();
        let another = file.is_some() && file != known.file;
        if another {
            *known = Known {
                protocol: Some(Protocol::Plain),
                ..Known::default()
            };
        }
        another
    }

    /// Nobody listens any more: whatever comes next is another handler.
    pub(super) fn is_gone(&self) {
        *self.known() = Known::default();
    }

    /// A connection was lost, so the handler may have gone. That it said hello holds until somebody else is seen in its
    /// place, for a handler that hangs must not pass for a plain one.
    pub(super) fn may_be_gone(&self) {
        let mut known = self.known();
        if known.protocol == Some(Protocol::Plain) {
            *known = Known::default();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file_id(path: &Path) -> Option<FileId> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.ctime(), file.ctime_nsec()))
}
