//! The policies around everything that can fail: whether to try again, when, how many at once, and when to leave it.
//!
//! Each policy stands alone ([`Backoff`], [`Breaker`], [`Limit`]); a [`Guard`] puts those that are wanted around an
//! async function. The one rule: what an error means is said once, by the error itself ([`Judge`]), and everybody
//! reads that one [`Verdict`].
//!
//! ```
//! use std::{num::NonZeroU32, time::Duration};
//! use chassis::guard::{Backoff, Guard, Judge, Verdict};
//!
//! #[derive(Debug, thiserror::Error)]
//! #[error("the line is busy")]
//! struct Busy;
//! impl Judge for Busy {
//!     fn verdict(&self) -> Verdict {
//!         Verdict::Transient { after: None }
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let guard = Guard::builder()
//!     .attempts(NonZeroU32::new(3).unwrap())
//!     .backoff(Backoff::new(Duration::from_secs(1), Duration::from_secs(60)))
//!     .timeout(Duration::from_secs(5))
//!     .build();
//! let answer = guard.run(|attempt| async move { if attempt < 3 { Err(Busy) } else { Ok("hello") } }).await;
//! assert_eq!(answer.unwrap(), "hello");
//! # });
//! ```

mod backoff;
mod breaker;
mod limit;
mod run;
mod verdict;

pub use backoff::{Backoff, Steps};
pub use breaker::{Breaker, BreakerState, Open, Trial};
pub use limit::{Limit, Slot};
pub use run::{Guard, GuardBuilder, GuardError, Pass, Refused};
pub use verdict::{Judge, Verdict};
