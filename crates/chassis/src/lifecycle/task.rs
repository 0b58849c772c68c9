//! One tracked task: its panic is caught and logged under its name, its handle can end it.

use std::{
    any::Any,
    borrow::Cow,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use tokio::task::{AbortHandle, JoinHandle};
use tracing::error;

/// A handle on a task; the task goes on when it is dropped.
#[derive(Debug)]
pub struct Task<T> {
    handle: JoinHandle<Option<T>>,
}

impl<T> Task<T> {
    /// Ends the task at its next await, without a word to it.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Whether it has ended, in whatever way.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Waits for its value.
    ///
    /// # Cancellation
    /// Dropping the future gives the value up; the task goes on.
    pub async fn join(self) -> Result<T, TaskError> {
        match self.handle.await {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(TaskError::Panicked),
            Err(_) => Err(TaskError::Aborted),
        }
    }

    /// Ties the task to an owner: it is aborted when the returned value is dropped.
    pub fn scoped(self) -> Scoped {
        Scoped {
            handle: self.handle.abort_handle(),
        }
    }
}

/// Aborts its task when dropped.
#[derive(Debug)]
#[must_use = "the task is aborted as soon as this is dropped"]
pub struct Scoped {
    handle: AbortHandle,
}

impl Drop for Scoped {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// Why a task gave no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// It panicked; the log has it.
    #[error("the task panicked")]
    Panicked,
    /// It was ended before it was done.
    #[error("the task was aborted")]
    Aborted,
}

/// Runs `future` as a task of its own.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that spawns; callers hand in a future that a drain tracks"
)]
pub(super) fn spawn<F>(name: Cow<'static, str>, future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Task {
        handle: tokio::spawn(caught(name, future)),
    }
}

/// `None` when it panicked. What the future captured is dropped before this returns and not looked at again.
async fn caught<F: Future>(name: Cow<'static, str>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(panic) => {
            error!(task = %name, panic = said(&*panic), "task panicked");
            Poll::Ready(None)
        }
    })
    .await
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[tokio::test]
    async fn a_value_comes_back_through_the_handle() {
        assert_eq!(spawn("sum".into(), async { 1 + 1 }).join().await, Ok(2));
    }

    #[tokio::test]
    async fn a_panic_is_logged_under_the_name_of_its_task() {
        let (lines, log) = std::io::pipe().unwrap();
        let subscriber = tracing_subscriber::fmt().json().with_writer(Mutex::new(log)).finish();
        let logging = tracing::subscriber::set_default(subscriber);
        let text = String::from("the disk is on fire");
        let task = spawn("spill".into(), async move { std::panic::panic_any(text) });
        assert_eq!(task.join().await, Err::<(), _>(TaskError::Panicked));
        drop(logging);
        let line: serde_json::Value = serde_json::from_reader(lines).unwrap();
        assert_eq!(line["fields"]["task"], "spill");
        assert_eq!(line["fields"]["panic"], "the disk is on fire");
    }

    #[tokio::test]
    async fn an_aborted_task_says_so() {
        let task = spawn("stuck".into(), pending::<()>());
        task.abort();
        assert_eq!(task.join().await, Err(TaskError::Aborted));
    }

    #[tokio::test]
    async fn a_scoped_task_ends_with_its_owner() {
        let alive = Arc::new(());
        let inside = Arc::clone(&alive);
        let owner = spawn("renewal".into(), async move {
            pending::<()>().await;
            drop(inside);
        })
        .scoped();
        drop(owner);
        while Arc::strong_count(&alive) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
