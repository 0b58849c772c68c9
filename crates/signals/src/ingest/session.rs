//! What a connection has said of itself: who it is, whether it may speak, how far it has come.

use std::sync::Arc;

use chassis::config::Secret;
use subtle::ConstantTimeEq;
use tracing::warn;
use wire::signal::{Control, ControlKind, Line, Wrong};

use super::{Piece, sorter::Sorter, wrongs::Wrongs};
use crate::hub::Hub;

/// One connection's lines, taken in their order.
#[derive(Debug)]
pub(super) struct Session {
    hub: Arc<Hub>,
    pub(super) sorter: Sorter,
    wrongs: Wrongs,
    /// What has to be known, until it was.
    secret: Option<Secret>,
    refused: bool,
    /// Lines since the hello that asked to be told of them.
    acked: Option<u64>,
}

impl Session {
    pub(super) fn new(hub: &Arc<Hub>, peer: String, secret: Option<Secret>) -> Self {
        Self {
            hub: Arc::clone(hub),
            sorter: Sorter::new(hub),
            wrongs: Wrongs::new(hub, peer),
            secret,
            refused: false,
            acked: None,
        }
    }

    /// Whether it still has to say who it is.
    pub(super) fn is_strange(&self) -> bool {
        self.secret.is_some()
    }

    /// Whether it is to be closed at once.
    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Lines since the hello that asked to be told of them.
    pub(super) fn acked(&self) -> Option<u64> {
        self.acked
    }

    /// What came of a line without an end. Where it is not whole, its sender is not told that it is safe: the rest of it may
    /// have been refused.
    pub(super) fn take_last(&mut self, piece: Piece<'_>) {
        let (before, is_whole) = (self.acked, self.take(piece));
        if !is_whole {
            self.acked = before;
        }
    }

    /// The next piece of its stream; says whether it was a line that can be read.
    pub(super) fn take(&mut self, piece: Piece<'_>) -> bool {
        if self.refused {
            return false;
        }
        if let Some(lines) = &mut self.acked {
            *lines += 1;
        }
        let read = match piece {
            Piece::Line([]) if self.secret.is_none() => return true,
            Piece::Line(line) => Line::read(line).map(|read| (line, read)),
            Piece::TooLong => Err(Wrong::TooLong),
        };
        if let Some(secret) = self.secret.take() {
            let hello = match &read {
                Ok((_, Line::Control(control))) if control.kind == ControlKind::Hello => control,
                _ => {
                    self.refuse("its first line is no hello");
                    return false;
                }
            };
            let said = hello.greeting().secret.unwrap_or_default();
            if !bool::from(said.as_bytes().ct_eq(secret.expose().as_bytes())) {
                self.refuse("its secret is wrong");
                return false;
            }
        }
        match read {
            Ok((line, Line::Data(record))) => self.sorter.take(line, &record),
            Ok((_, Line::Control(control))) => self.greet(&control),
            Err(wrong) => {
                self.wrongs.note(wrong, 1);
                return false;
            }
        }
        true
    }

    fn greet(&mut self, control: &Control<'_>) {
        if control.kind == ControlKind::Hello && control.greeting().ack {
            self.acked = Some(0);
        }
    }

    /// It did not say in time who it is.
    pub(super) fn keeps_silent(&mut self) {
        self.refuse("it does not say who it is");
    }

    /// It was told of the end and did not stop in time.
    pub(super) fn goes_on(&self) {
        warn!(
            peer = self.wrongs.peer(),
            "a sender goes on after it was told to stop, what it sends from here on is lost: end the senders first, or have them stop at the end of the stream"
        );
    }

    /// There is no memory for the line that it has begun.
    pub(super) fn is_too_much(&self) {
        self.hub.metrics.dropped("buffer_full", 1);
        warn!(
            peer = self.wrongs.peer(),
            "too much is taken by lines whose ends have not come, a connection is closed: raise `max_memory_mb`, or have fewer senders"
        );
    }

    fn refuse(&mut self, why: &str) {
        self.refused = true;
        self.hub.metrics.dropped("auth_failed", 1);
        warn!(peer = self.wrongs.peer(), why, "a connection is refused");
    }
}
