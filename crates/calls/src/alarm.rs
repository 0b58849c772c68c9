//! A timer that is set anew for each request and hardly ever rings.
//!
//! Each time that a timer of the runtime is set or dropped costs a lock and a place in its wheel. What a connection waits for is
//! mostly due later than what it waited for before, so the timer is left as it is: where it wakes us too early, it is set again.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Rings when it is due; never, until it is told when.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    due: Option<Instant>,
    /// Set to what was waited for at some time: it may ring too early, never too late. Until then it keeps the task that waited.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Sets it, in place of what it was set to; `None` is never.
    pub(crate) fn set(&mut self, due: Option<Instant>) {
        self.due = due;
    }

    /// Ready once it is due, and from then on until it is set anew.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if due < sleep.deadline() {
            sleep.as_mut().reset(due);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if due <= sleep.deadline() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
    }

    /// Waits until it is due.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub(crate) async fn rings(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Whether it rings when it is due, to the millisecond that the runtime's timers have, and not before.
    async fn rings_after(alarm: &mut Alarm, wanted: Duration) {
        let begun = Instant::now();
        alarm.rings().await;
        let passed = begun.elapsed();
        assert!(
            passed >= wanted && passed <= wanted + Duration::from_millis(1),
            "{passed:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_when_it_was_last_set_to() {
        let seconds = |seconds| Some(Instant::now() + Duration::from_secs(seconds));
        let mut alarm = Alarm::default();
        alarm.set(seconds(10));
        rings_after(&mut alarm, Duration::from_secs(10)).await;
        // It is waited for, then set later, or sooner, or to the same again.
        for (first, second) in [(20, 30), (30, 20), (5, 5)] {
            alarm.set(seconds(first));
            assert!(timeout(Duration::from_secs(1), alarm.rings()).await.is_err());
            alarm.set(seconds(second));
            rings_after(&mut alarm, Duration::from_secs(second)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_not_set_never_rings() {
        let hour = Duration::from_hours(1);
        let mut alarm = Alarm::default();
        assert!(timeout(hour, alarm.rings()).await.is_err());
        alarm.set(Some(Instant::now() + Duration::from_secs(1)));
        alarm.rings().await;
        alarm.rings().await;
        alarm.set(None);
        assert!(timeout(hour, alarm.rings()).await.is_err());
    }
}
