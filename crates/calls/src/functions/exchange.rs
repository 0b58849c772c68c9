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

#[cfg(test)]
mod tests {
    use chassis::telemetry::{Exposition, Metrics, traces::Tracer};
    use tokio::sync::oneshot;

    use super::*;
    use crate::{functions::Caller, telemetry::Telemetry};

    fn account(registry: &Metrics) -> Account {
        let telemetry = Telemetry::new(registry, Tracer::default());
        let caller = Caller {
            way: "ipc",
            trace: None,
        };
        telemetry.begin("p", "f", &telemetry.function("p", "f"), &caller)
    }

    fn piece(text: &'static str) -> Interim {
        Interim::Partial(Json::parse(text.into()).unwrap())
    }

    fn outcomes(registry: &Metrics) -> String {
        let text = registry.encode(Exposition::Prometheus);
        let lines = text.lines().filter(|line| line.starts_with("sidecar_calls_total{"));
        lines.map(|line| line.split("outcome=").nth(1).unwrap()).collect()
    }

    #[tokio::test]
    async fn pieces_come_in_order_and_hold_back_what_follows() {
        let registry = Metrics::new();
        let (seen, mut went_on) = oneshot::channel();
        let mut exchange = Exchange::new(Wanted::Pieces, account(&registry), |pieces| async move {
            pieces.note(piece("1"));
            pieces.note(Interim::Heartbeat);
            pieces.note(piece("2"));
            tokio::task::yield_now().await;
            seen.send(()).unwrap();
            Ok(Json::null())
        });
        assert!(matches!(exchange.next().await, Some(Event::Piece(piece)) if piece.as_str() == "1"));
        assert!(matches!(exchange.next().await, Some(Event::Piece(piece)) if piece.as_str() == "2"));
        assert!(went_on.try_recv().is_err(), "nobody has asked for more");
        assert!(matches!(exchange.next().await, Some(Event::End(Ok(_)))));
        assert!(exchange.next().await.is_none());
        assert_eq!(outcomes(&registry), "\"ok\"} 1");
    }

    #[tokio::test]
    async fn one_that_is_dropped_has_ended_and_is_counted() {
        let registry = Metrics::new();
        let (held, ended) = oneshot::channel::<()>();
        let mut exchange = Exchange::new(Wanted::ResultAlone, account(&registry), |pieces| async move {
            let _held = held;
            pieces.note(piece("1"));
            std::future::pending().await
        });
        tokio::select! {
            biased;
            _ = exchange.next() => panic!("nothing comes"),
            () = std::future::ready(()) => {}
        }
        drop(exchange);
        assert!(ended.await.is_err());
        assert_eq!(outcomes(&registry), "\"canceled\"} 1");
    }
}
