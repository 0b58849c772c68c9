//! When an exchange has to end.
//!
//! The one rule: interim frames move the idle limit alone; the whole runs from the write of the request, whatever comes.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::{Call, trouble::Trouble};

/// The limits of one exchange that has begun.
#[derive(Debug)]
pub(crate) struct Limits {
    begun: Instant,
    /// When the last frame came, or the request was written.
    last: Instant,
    whole: Option<Duration>,
    idle: Option<Duration>,
    /// Whether it is the message's deadline that ends the whole.
    by_deadline: bool,
}

impl Limits {
    /// Begins now, with the write of the request; a limit of zero is none.
    ///
    /// # Errors
    /// The deadline has passed already.
    pub(crate) fn new(timeout: Option<Duration>, idle: Option<Duration>, call: &Call) -> Result<Self, Trouble> {
        let begun = Instant::now();
        let timeout = timeout.filter(|timeout| !timeout.is_zero());
        let left = call.deadline.map(|deadline| {
            let left = deadline.duration_since(jiff::Timestamp::now());
            Duration::try_from(left).unwrap_or_default()
        });
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Trouble::Deadline(Duration::ZERO));
        }
        let by_deadline = left.is_some_and(|left| timeout.is_none_or(|timeout| left < timeout));
        Ok(Self {
            begun,
            last: begun,
            whole: if by_deadline { left } else { timeout },
            idle: idle.filter(|idle| !idle.is_zero()),
            by_deadline,
        })
    }

    /// Waits for something within the limits.
    ///
    /// # Cancellation
    /// That of `work`.
    pub(crate) async fn keep<T>(&self, work: impl Future<Output = T>) -> Result<T, Trouble> {
        let whole = self.whole.map(|whole| self.begun + whole);
        let idle = self.idle.map(|idle| self.last + idle);
        let Some(until) = whole.into_iter().chain(idle).min() else {
            return Ok(work.await);
        };
        timeout_at(until, work).await.map_err(|_| match (whole, self.idle) {
            (Some(whole), Some(idle)) if until < whole => Trouble::Idle(idle),
            (None, Some(idle)) => Trouble::Idle(idle),
            _ => self.over(),
        })
    }

    /// An interim frame has come. However many come, the whole has its limit.
    pub(crate) fn heard(&mut self) -> Result<(), Trouble> {
        if self.idle.is_none() && self.whole.is_none() {
            return Ok(());
        }
        self.last = Instant::now();
        match self.whole {
            Some(whole) if self.last.duration_since(self.begun) >= whole => Err(self.over()),
            _ => Ok(()),
        }
    }

    fn over(&self) -> Trouble {
        let whole = self.whole.unwrap_or_default();
        if self.by_deadline {
            Trouble::Deadline(whole)
        } else {
            Trouble::Timeout(whole)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(whole: u64, idle: u64) -> Limits {
        let now = Instant::now();
        Limits {
            begun: now,
            last: now,
            whole: Some(Duration::from_secs(whole)),
            idle: Some(Duration::from_secs(idle)),
            by_deadline: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_interim_frame_moves_the_idle_limit_and_never_the_whole() {
        let mut limits = limits(5, 2);
        for _ in 0..3 {
            limits
                .keep(tokio::time::sleep(Duration::from_millis(1500)))
                .await
                .unwrap();
            limits.heard().unwrap();
        }
        let over = limits.keep(std::future::pending::<()>()).await.unwrap_err();
        assert!(
            matches!(over, Trouble::Timeout(after) if after.as_secs() == 5),
            "{over:?}"
        );
        assert_eq!(limits.begun.elapsed().as_secs(), 5);
        // However fast they come, so that nothing ever has to be waited for.
        assert!(matches!(limits.heard(), Err(Trouble::Timeout(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_an_exchange_at_the_idle_limit() {
        let limits = limits(5, 2);
        let over = limits.keep(std::future::pending::<()>()).await.unwrap_err();
        assert!(matches!(over, Trouble::Idle(after) if after.as_secs() == 2), "{over:?}");
        assert_eq!(limits.begun.elapsed().as_secs(), 2);
    }
}
