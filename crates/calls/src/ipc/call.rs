//! One object that came, from then until its answer is with the one who writes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::Json;

use super::{
    answer::{self, Manner},
    request::{Id, Key, Wish},
    turns::Turn,
};
use crate::functions::{CallError, Caller, Event, Registry, Wanted};

/// The calls of a connection that have a name.
pub(super) type InFlight = Arc<Mutex<HashMap<Key, CancellationToken>>>;

/// One object that has to be answered.
pub(super) struct Job {
    pub(super) id: Option<Id>,
    /// Where it is answered in its turn.
    pub(super) turn: Option<Turn>,
    /// Whether its name is among the calls in flight.
    pub(super) taken_back: Option<CancellationToken>,
    pub(super) in_flight: InFlight,
    pub(super) registry: Registry,
    pub(super) out: mpsc::Sender<Bytes>,
}

impl Job {
    /// Carries a call out, and answers.
    ///
    /// # Cancellation
    /// Dropping the future ends the call.
    pub(super) async fn carry_out(mut self, wish: Wish) {
        let manner = if wish.streaming {
            Manner::Streamed
        } else {
            Manner::Whole
        };
        let name = wish.package.as_ref().map_or_else(
            || wish.function.clone(),
            |package| format!("{package}/{}", wish.function),
        );
        let taken_back = self.taken_back.clone();
        let canceled = async {
            match &taken_back {
                Some(token) => token.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let end = tokio::select! {
            biased;
            () = canceled => Err(CallError::Canceled),
            end = self.work(wish) => end,
        };
        self.answer(&end, manner, &name).await;
    }

    /// Answers what is no call.
    pub(super) async fn refuse(mut self, error: CallError) {
        self.answer(&Err(error), Manner::Whole, "-").await;
    }

    async fn work(&mut self, wish: Wish) -> Result<Json, CallError> {
        let caller = Caller {
            way: "ipc",
            trace: None,
        };
        let function = self.registry.named(wish.package.as_deref(), &wish.function)?;
        let function = self.registry.sure(function, &caller).await?;
        if !wish.streaming {
            return function.call(&wish.args, &caller, Wanted::ResultAlone)?.result().await;
        }
        let mut exchange = function.call(&wish.args, &caller, Wanted::Pieces)?;
        // Its pieces go out at once, so it does not begin before its turn.
        self.turn().await;
        loop {
            match exchange.next().await {
                Some(Event::Piece(piece)) => self.send(answer::piece(self.id.as_ref(), &piece)).await,
                Some(Event::End(end)) => return end,
                None => return Ok(Json::null()),
            }
        }
    }

    async fn answer(&mut self, end: &Result<Json, CallError>, manner: Manner, name: &str) {
        self.turn().await;
        if let Some(id) = self.id.as_ref().filter(|_| self.taken_back.is_some()) {
            self.in_flight
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id.key);
        }
        let line = answer::end(self.id.as_ref(), end, manner);
        let code = end.as_ref().err().map_or("ok", CallError::code);
        self.registry.access_log().call(name, code, line.len());
        self.send(line).await;
    }

    async fn turn(&mut self) {
        if let Some(turn) = &mut self.turn {
            turn.come().await;
        }
    }

    async fn send(&self, line: Bytes) {
        // Nobody reads any more: the connection is about to end.
        let _ = self.out.send(line).await;
    }
}
