//! Work that goes on when nobody waits for it any more.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use chassis::lifecycle::{Drain, Hold};
use tokio::runtime::Handle;

/// Runs where it is awaited, which spares a task and its wake-ups; dropped before its end it goes on in a task of the
/// drain. The drain waits for it in either case.
pub(super) struct Detached<T: Send + 'static> {
    name: &'static str,
    drain: Drain,
    work: Option<(Work<T>, Hold)>,
}

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T: Send + 'static> Detached<T> {
    pub(super) fn new(name: &'static str, drain: &Drain, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            name,
            drain: drain.clone(),
            work: Some((Box::pin(work), drain.hold())),
        }
    }
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some((work, _)) = &mut self.work else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        // Without a runtime the process ends, and with its connections all goes back.
        if let Some((work, hold)) = self.work.take()
            && Handle::try_current().is_ok()
        {
            self.drain.spawn(self.name, async move {
                work.await;
                drop(hold);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_that_is_let_go_is_finished_and_waited_for() {
        let drain = Drain::new();
        let (go, told) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel();
        let mut work = Box::pin(Detached::new("test", &drain, async move {
            told.await.unwrap();
            done.send(()).unwrap();
        }));
        assert!(futures_util::poll!(work.as_mut()).is_pending());
        drop(work);
        assert_eq!(drain.busy(), 2, "a hold and a task");
        go.send(()).unwrap();
        drain.wait(None).await;
        finished.await.unwrap();
    }
}
