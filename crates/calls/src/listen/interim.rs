//! What is said before the answer: 1xx, and whether the client waits for one of them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::{Response, StatusCode};
use tokio::sync::mpsc;

/// Sends interim answers (1xx) to the client, before the answer to one request; a cheap clone.
#[derive(Debug, Clone)]
pub struct Interim {
    sender: mpsc::Sender<Said>,
    exchange: u64,
}

/// An interim answer, and the exchange that it belongs to.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) exchange: u64,
    pub(super) answer: Response<()>,
}

/// That the client waits for `100 Continue` before it sends its body; a cheap clone.
///
/// It is sent when the body is first asked for, if nothing of it has come by then, unless somebody takes it on.
#[derive(Debug, Clone)]
pub struct Expectation {
    is_ours: Arc<AtomicBool>,
    interim: Interim,
}

impl Interim {
    pub(super) fn new(sender: mpsc::Sender<Said>, exchange: u64) -> Self {
        Self { sender, exchange }
    }

    /// Sends an interim answer; once the answer itself is on its way it is dropped.
    ///
    /// # Cancellation
    /// Dropping the future sends nothing.
    pub async fn send(&self, answer: Response<()>) {
        let said = Said {
            exchange: self.exchange,
            answer,
        };
        // Whose connection has ended hears nothing any more.
        let _ = self.sender.send(said).await;
    }
}

impl Expectation {
    pub(super) fn new(interim: Interim) -> Self {
        Self {
            is_ours: Arc::new(AtomicBool::new(true)),
            interim,
        }
    }

    /// Leaves it to the caller: 100 is sent when the caller sends it. The body gives what the client sends anyway.
    pub fn take_on(&self) {
        self.is_ours.store(false, Ordering::Relaxed);
    }

    /// The body is asked for.
    pub(super) fn meet(&self) {
        if self.is_ours.swap(false, Ordering::Relaxed) {
            let mut answer = Response::new(());
            *answer.status_mut() = StatusCode::CONTINUE;
            let exchange = self.interim.exchange;
            // It is the first thing that is said in this exchange.
            let _ = self.interim.sender.try_send(Said { exchange, answer });
        }
    }
}
