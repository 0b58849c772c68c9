//! Runs the cases, each with a limit, and catches what they do wrong.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
};

use tokio::time::timeout;

use super::{
    Harness, Outcome, Report, Tested,
    cases::{self, Case},
    stage::{Halt, Stage},
};

/// Runs every case that the transport's promises call for.
///
/// # Cancellation
/// Dropping the future ends the case under way and whatever it opened.
pub async fn run(harness: &dyn Harness) -> Report {
    let mut tested = Vec::new();
    for case in cases::all() {
        tested.push(Tested {
            name: case.name,
            outcome: test(harness, case).await,
        });
    }
    Report { cases: tested }
}

/// Runs the one case of this name, for whoever is looking for the cause; `None` if there is no such case.
///
/// # Cancellation
/// As [`run`].
pub async fn run_case(harness: &dyn Harness, name: &str) -> Option<Outcome> {
    let case = cases::all().find(|case| case.name == name)?;
    Some(test(harness, case).await)
}

/// The names of all cases.
pub fn names() -> impl Iterator<Item = &'static str> {
    cases::all().map(|case| case.name)
}

/// Runs every case and returns the report.
///
/// # Panics
/// With the whole report when a promise is broken.
pub async fn assert_passes(harness: &dyn Harness) -> Report {
    let report = run(harness).await;
    assert!(report.passed(), "the transport breaks its promises\n{report}");
    report
}

async fn test(harness: &dyn Harness, case: &Case) -> Outcome {
    let stage = Stage::new(harness);
    let limit = harness.limit() * case.weight;
    let run = async {
        let queue = stage.open().await?;
        if !(case.applies)(&queue.promises()) {
            return Err(Halt::NotPromised);
        }
        (case.run)(&stage, queue).await
    };
    let ended = match timeout(limit, caught(Box::pin(run))).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(panic)) => Err(Halt::broken(
            "no panic",
            format!("a panic at `{}`: {panic}", stage.at()),
        )),
        Err(_) => Err(Halt::broken(
            format!("an end within {limit:?}"),
            format!("a case that hangs at `{}`", stage.at()),
        )),
    };
    let closed = match timeout(limit, caught(Box::pin(stage.close()))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(panic)) => Err(Halt::broken("closing without a panic", format!("a panic: {panic}"))),
        Err(_) => Err(Halt::broken(
            format!("close to return within {limit:?}"),
            "a close that hangs",
        )),
    };
    match ended.and(closed) {
        Ok(()) => Outcome::Passed,
        Err(Halt::NotPromised) => Outcome::NotPromised,
        Err(Halt::NotTried(why)) => Outcome::NotTried(why),
        Err(Halt::Broken { expected, seen }) => Outcome::Failed { expected, seen },
    }
}

/// Runs to the end, or to a panic and its text.
async fn caught<T>(mut run: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> Result<T, String> {
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context))) {
            Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
                .unwrap_or_else(|| "of no known text".to_owned()))),
        },
    )
    .await
}
