//! The handler behind a socket: its idle connections, and which of them a call goes out on.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use wire::{Hello, Reply};

use super::{
    connection::{Connection, Speaks},
    options::SocketOptions,
    peer::{Expect, Peer},
};
use crate::{Call, Handler, HandlerError, Liveness, Report, trouble::Trouble};

/// A handler behind a Unix stream socket.
///
/// Connections are made when they are needed, kept, and used by one exchange at a time; dropping it closes them.
#[derive(Debug)]
pub struct SocketHandler {
    peer: Peer,
    idle: Mutex<Vec<Connection>>,
}

impl SocketHandler {
    /// Connects to nothing yet.
    pub fn new(options: SocketOptions) -> Self {
        Self {
            peer: Peer::new(options),
            idle: Mutex::default(),
        }
    }

    /// What the handler said of itself, when it speaks protocol 1 and has said so.
    pub fn hello(&self) -> Option<Arc<Hello>> {
        self.peer.hello()
    }

    /// An idle connection that is still of use, the last used one first.
    fn reuse(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if connection.is_usable(&self.peer) {
                return Some(connection);
            }
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.reusable && idle.len() < self.peer.options.connections {
            idle.push(connection);
        }
    }

    async fn attempt(
        &self,
        mut connection: Connection,
        call: &Call,
        report: &mut Report<'_>,
    ) -> Result<Reply, Trouble> {
        let reply = connection.exchange(&self.peer, call, report).await?;
        self.keep(connection);
        Ok(reply)
    }

    async fn attempt_afresh(&self, call: &Call, report: &mut Report<'_>) -> Result<Reply, Trouble> {
        let connection = Connection::open(&self.peer).await.map_err(Trouble::Unwritten)?;
        self.attempt(connection, call, report).await
    }

    async fn exchange(&self, call: &Call, report: &mut Report<'_>) -> Result<Reply, Trouble> {
        let Some(connection) = self.reuse() else {
            return self.attempt_afresh(call, report).await;
        };
        // It may have been closed between its last reply and now: that says nothing about the handler.
        let first = match self.attempt(connection, call, report).await {
            Err(trouble) if trouble.is_before_any_answer() => trouble,
            answer => return answer,
        };
        match (self.attempt_afresh(call, report).await, first) {
            // The first connection took the whole request: if nobody is there now, then because of that, maybe.
            (Err(Trouble::Unwritten(_) | Trouble::Mute(_)), first @ Trouble::Unanswered(_)) => Err(first),
            (second, _) => second,
        }
    }
}

#[async_trait]
impl Handler for SocketHandler {
    async fn call(&self, call: &Call, report: &mut Report<'_>) -> Result<Reply, HandlerError> {
        self.exchange(call, report).await.map_err(|trouble| {
            if matches!(
                trouble,
                Trouble::Unwritten(_) | Trouble::Unanswered(_) | Trouble::Lost(_)
            ) {
                self.peer.may_be_gone();
            }
            trouble.of_call(self.describe(), self.peer.options.max_frame)
        })
    }

    async fn ping(&self) -> Result<Liveness, HandlerError> {
        let answer = async {
            let (mut connection, fresh) = match self.reuse() {
                Some(connection) => (connection, false),
                None => (Connection::open(&self.peer).await.map_err(Trouble::Unwritten)?, true),
            };
            if connection.speaks != Speaks::One && self.peer.expect() != Expect::Hello {
                // A plain handler may serve one connection after the other: one that we do not use is not left open.
                connection.reusable &= !fresh;
                self.keep(connection);
                return Ok(Liveness::Connected);
            }
            connection.greet(&self.peer).await?;
            if connection.speaks == Speaks::One {
                connection.ping(&self.peer).await?;
                self.keep(connection);
                return Ok(Liveness::Answered);
            }
            Ok(Liveness::Connected)
        };
        answer
            .await
            .map_err(|trouble: Trouble| trouble.of_ping(self.describe(), self.peer.options.max_frame))
    }

    async fn greet(&self) -> Result<Option<Arc<Hello>>, HandlerError> {
        let answer = async {
            let (mut connection, fresh) = match self.reuse() {
                Some(connection) => (connection, false),
                None => (Connection::open(&self.peer).await.map_err(Trouble::Unwritten)?, true),
            };
            connection.greet(&self.peer).await?;
            let says_hello = connection.speaks == Speaks::One;
            // A plain handler may serve one connection after the other: one that we do not use is not left open.
            connection.reusable &= says_hello || !fresh;
            self.keep(connection);
            Ok(says_hello)
        };
        let says_hello = answer
            .await
            .map_err(|trouble: Trouble| trouble.of_ping(self.describe(), self.peer.options.max_frame))?;
        Ok(self.peer.hello().filter(|_| says_hello))
    }

    fn rest(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn describe(&self) -> String {
        self.peer.options.path.display().to_string()
    }
}
