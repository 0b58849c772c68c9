//! A connection that goes on as something else after a 101.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::io::{AsyncRead, AsyncWrite};

/// Who goes on with the connection once a 101 has been sent; put into the extensions of that answer.
#[derive(Clone)]
pub struct Takeover(Arc<Mutex<Option<Taker>>>);

/// The half that is read; what the client has sent after its request comes first.
pub type Input = Box<dyn AsyncRead + Send + Unpin>;
/// The half that is written.
pub type Output = Box<dyn AsyncWrite + Send + Unpin>;

type Taker = Box<dyn FnOnce(Input, Output) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

impl Takeover {
    /// What is run with both halves of the connection.
    pub fn new<F, T>(taker: F) -> Self
    where
        F: FnOnce(Input, Output) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let taker: Taker = Box::new(move |input, output| Box::pin(taker(input, output)));
        Self(Arc::new(Mutex::new(Some(taker))))
    }

    /// Runs it; a second time does nothing.
    pub(super) async fn run(&self, input: Input, output: Output) {
        let taker = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(taker) = taker {
            taker(input, output).await;
        }
    }
}

impl fmt::Debug for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Takeover").finish_non_exhaustive()
    }
}
