//! One call under way: pieces as they come, then its end.
//!
//! The one rule: nothing runs behind it. Whoever wants the next piece carries the exchange on, so a caller that is slow to read
//! holds its handler back, and one that leaves has ended the exchange by dropping this.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use wire::{Interim, Json};

use super::CallError;
use crate::telemetry::Account;

/// One call under way.
pub(crate) struct Exchange {
    pieces: Pieces,
    work: Option<Work>,
    end: Option<Result<Json, CallError>>,
    account: Option<Account>,
}

/// What comes of a call.
#[derive(Debug)]
pub(crate) enum Event {
    /// A piece of the result.
    Piece(Json),
    /// The result, or why there is none; nothing follows.
    End(Result<Json, CallError>),
}

/// Whether the caller wants pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Pieces,
    ResultAlone,
}

type Work = Pin<Box<dyn Future<Output = Result<Json, CallError>> + Send>>;

/// Pieces that have come and nobody has taken yet.
#[derive(Debug, Clone)]
pub(super) struct Pieces {
    list: Arc<Mutex<VecDeque<Json>>>,
    wanted: Wanted,
}

impl Exchange {
    pub(super) fn new<F>(wanted: Wanted, account: Account, work: impl FnOnce(Pieces) -> F) -> Self
    where
        F: Future<Output = Result<Json, CallError>> + Send + 'static,
    {
        let pieces = Pieces {
            list: Arc::default(),
            wanted,
        };
        Self {
            work: Some(Box::pin(work(pieces.clone()))),
            pieces,
            end: None,
            account: Some(account),
        }
    }

    /// What comes next; `None` after the end.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing; dropping the exchange ends it.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The result, whatever pieces come before it.
    ///
    /// # Cancellation
    /// Dropping the future ends the exchange.
    pub(crate) async fn result(mut self) -> Result<Json, CallError> {
        loop {
            if let Some(Event::End(end)) = self.next().await {
                return end;
            }
        }
    }

    /// As [`next`](Self::next), for those who poll.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if let Some(piece) = self.pieces.take() {
            return Poll::Ready(Some(Event::Piece(piece)));
        }
        if let Some(work) = &mut self.work
            && let Poll::Ready(end) = work.as_mut().poll(cx)
        {
            self.work = None;
            if let Some(account) = self.account.take() {
                account.end(&end);
            }
            self.end = Some(end);
        }
        match (self.pieces.take(), &self.work) {
            (Some(piece), _) => Poll::Ready(Some(Event::Piece(piece))),
            (None, Some(_)) => Poll::Pending,
            (None, None) => Poll::Ready(self.end.take().map(Event::End)),
        }
    }
}

impl Pieces {
    /// Notes what a handler says on the way.
    pub(super) fn note(&self, interim: Interim) {
        if let (Interim::Partial(piece), Wanted::Pieces) = (interim, self.wanted) {
            self.list
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back(piece);
        }
    }

    fn take(&self) -> Option<Json> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}
