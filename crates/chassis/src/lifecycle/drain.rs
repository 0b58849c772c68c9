//! The end of the process in two words: *begun* (take no new work) and *cut* (the grace is over, end what is left).
//!
//! The one rule: every task and thread of the process is tracked by a drain, so that the end can wait for it.

use std::{borrow::Cow, future::Future, sync::Arc, time::Duration};

use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tracing::warn;

use super::task::{self, Task};

/// Tracks tasks and tells them when to end; a cheap handle, clones share one drain.
///
/// A [`child`](Self::child) begins and is cut with its parent, can be ended alone, and its tasks are waited for by the
/// parent too.
#[derive(Debug, Clone)]
pub struct Drain {
    begun: CancellationToken,
    cut: CancellationToken,
    /// Our own tracker first, then those of our parents.
    trackers: Arc<[TaskTracker]>,
}

impl Drain {
    /// A drain that has not begun.
    pub fn new() -> Self {
        Self {
            begun: CancellationToken::new(),
            cut: CancellationToken::new(),
            trackers: Arc::new([TaskTracker::new()]),
        }
    }

    /// A drain within this one.
    pub fn child(&self) -> Self {
        Self {
            begun: self.begun.child_token(),
            cut: self.cut.child_token(),
            trackers: std::iter::once(TaskTracker::new())
                .chain(self.trackers.iter().cloned())
                .collect(),
        }
    }

    /// Waits until no new work may be taken.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Waits until what is left must end now.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn cut(&self) {
        self.cut.cancelled().await;
    }

    /// Whether no new work may be taken.
    pub fn is_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Whether what is left must end now.
    pub fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    /// Runs a task that [`wait`](Self::wait) waits for. A panic in it is logged under `name` and ends only the task.
    ///
    /// The task goes on when the handle is dropped; [`Task::scoped`] ties it to its owner.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let hold = self.hold();
        // Boxed once: each wrapper around a large future would otherwise hold, and move, a copy of its size.
        let future = Box::pin(future);
        task::spawn(name.into(), async move {
            let output = future.await;
            drop(hold);
            output
        })
    }

    /// Makes [`wait`](Self::wait) wait until the hold is dropped; for threads.
    pub fn hold(&self) -> Hold {
        Hold {
            _tokens: self.trackers.iter().map(TaskTracker::token).collect(),
        }
    }

    /// Tasks and holds that are still there, those of children too.
    pub fn busy(&self) -> usize {
        self.trackers[0].len()
    }

    /// Says that no new work may be taken. Saying it again changes nothing.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Says that what is left must end now (and that the drain has begun, if nobody had said so).
    pub fn cut_now(&self) {
        self.begin();
        self.cut.cancel();
    }

    /// Begins the drain and waits for every task; cuts what is left when `grace` is over (`None`: never by itself).
    ///
    /// Another may cut meanwhile. After a cut the tasks have five seconds to leave things in order.
    ///
    /// # Cancellation
    /// Dropping the future stops the waiting; the drain has begun and stays so.
    pub async fn wait(&self, grace: Option<Duration>) -> Outcome {
        self.begin();
        let tracker = &self.trackers[0];
        tracker.close();
        tokio::select! {
            biased;
            () = tracker.wait() => {
                return if self.is_cut() { Outcome::Cut } else { Outcome::Finished };
            }
            () = self.cut() => {}
            () = after(grace) => self.cut_now(),
        }
        if tokio::time::timeout(LAST_CALL, tracker.wait()).await.is_err() {
            warn!(
                tasks = self.busy(),
                "tasks did not end after the cut, leaving without them"
            );
        }
        Outcome::Cut
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was in flight has been finished.
    Finished,
    /// The grace was over before that.
    Cut,
}

/// Keeps a drain waiting for as long as it lives.
#[derive(Debug)]
#[must_use = "a hold ends when it is dropped"]
pub struct Hold {
    _tokens: Box<[TaskTrackerToken]>,
}

/// Never for `None`.
async fn after(grace: Option<Duration>) {
    match grace {
        Some(grace) => tokio::time::sleep(grace).await,
        None => std::future::pending().await,
    }
}

/// How long tasks may take to leave things in order after the cut.
const LAST_CALL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, time::Instant};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What hangs is a failure; time is paused.
    async fn soon<F: Future>(future: F) -> F::Output {
        tokio::time::timeout(1_000_000 * SECOND, future)
            .await
            .expect("it never ends")
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_what_is_in_flight() {
        let drain = Drain::new();
        let task = drain.spawn("work", {
            let drain = drain.clone();
            async move {
                drain.begun().await;
                tokio::time::sleep(20 * SECOND).await;
                drain.is_cut()
            }
        });
        let began = Instant::now();
        assert_eq!(soon(drain.wait(Some(25 * SECOND))).await, Outcome::Finished);
        assert_eq!(began.elapsed(), 20 * SECOND);
        assert!(!soon(task.join()).await.unwrap(), "nothing was cut");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_without_grace_waits_without_limit() {
        let drain = Drain::new();
        drain.spawn("work", tokio::time::sleep(86_400 * SECOND));
        assert_eq!(soon(drain.wait(None)).await, Outcome::Finished);
    }

    #[tokio::test(start_paused = true)]
    async fn the_cut_comes_when_the_grace_is_over_and_tasks_may_tidy_up() {
        let drain = Drain::new();
        let task = drain.spawn("work", {
            let drain = drain.clone();
            async move {
                drain.cut().await;
                tokio::time::sleep(SECOND).await;
                "put back"
            }
        });
        let began = Instant::now();
        assert_eq!(soon(drain.wait(Some(25 * SECOND))).await, Outcome::Cut);
        assert_eq!(began.elapsed(), 26 * SECOND);
        assert_eq!(soon(task.join()).await.unwrap(), "put back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_the_cut_is_left_behind() {
        let drain = Drain::new();
        let _task = drain.spawn("stuck", std::future::pending::<()>()).scoped();
        let began = Instant::now();
        assert_eq!(soon(drain.wait(Some(SECOND))).await, Outcome::Cut);
        assert_eq!(began.elapsed(), SECOND + LAST_CALL);
        assert_eq!(drain.busy(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_by_another_ends_an_unlimited_wait() {
        let drain = Drain::new();
        drain.spawn("work", {
            let drain = drain.clone();
            async move { drain.cut().await }
        });
        let other = drain.clone();
        let _signal = drain.child().spawn("signal", async move {
            tokio::time::sleep(10 * SECOND).await;
            other.cut_now();
        });
        assert_eq!(soon(drain.wait(None)).await, Outcome::Cut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_ends_alone_and_its_parent_goes_on() {
        let parent = Drain::new();
        let child = parent.child();
        child.spawn("child", {
            let child = child.clone();
            async move { child.begun().await }
        });
        let (stop, stopped) = oneshot::channel::<()>();
        parent.spawn("parent", stopped);
        assert_eq!(parent.busy(), 2);
        assert_eq!(soon(child.wait(None)).await, Outcome::Finished);
        assert!(!parent.is_begun());
        assert_eq!(parent.busy(), 1);
        drop(stop);
        assert_eq!(soon(parent.wait(None)).await, Outcome::Finished);
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_begins_and_is_cut_with_its_parent_which_waits_for_it() {
        let parent = Drain::new();
        let child = parent.child().child();
        let task = child.spawn("grandchild", {
            let child = child.clone();
            async move {
                child.begun().await;
                child.cut().await;
                Instant::now()
            }
        });
        let began = Instant::now();
        assert_eq!(soon(parent.wait(Some(3 * SECOND))).await, Outcome::Cut);
        assert_eq!(soon(task.join()).await.unwrap(), began + 3 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_thread_is_waited_for_through_its_hold() {
        let drain = Drain::new();
        let hold = drain.hold();
        let other = drain.clone();
        let thread = std::thread::spawn(move || {
            let _hold = hold;
            while !other.is_begun() {
                std::thread::yield_now();
            }
        });
        assert_eq!(drain.wait(None).await, Outcome::Finished);
        thread.join().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_its_task_and_nothing_else() {
        let drain = Drain::new();
        let task = drain.spawn("bad", async { assert!(drain_is_sound(), "on purpose") });
        assert!(matches!(soon(task.join()).await, Err(super::task::TaskError::Panicked)));
        assert_eq!(soon(drain.wait(None)).await, Outcome::Finished);
    }

    fn drain_is_sound() -> bool {
        false
    }
}
