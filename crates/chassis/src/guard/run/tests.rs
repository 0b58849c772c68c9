//! The policies together, with time paused.

use std::{future::pending, sync::Arc};

use tokio::time::Instant;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, PartialEq, thiserror::Error)]
enum Refusal {
    #[error("busy")]
    Busy,
    #[error("come back later")]
    Later(Duration),
    #[error("no")]
    No,
}

impl Judge for Refusal {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Busy => Verdict::Transient { after: None },
            Self::Later(after) => Verdict::Transient { after: Some(*after) },
            Self::No => Verdict::Terminal,
        }
    }
}

fn attempts(attempts: u32) -> GuardBuilder {
    let backoff = Backoff::new(SECOND, 60 * SECOND).jitter(0.0);
    Guard::builder()
        .attempts(NonZeroU32::new(attempts).unwrap())
        .backoff(backoff)
}

fn breaker(failures: u32) -> Breaker {
    Breaker::new(NonZeroU32::new(failures).unwrap(), 60 * SECOND)
}

#[tokio::test(start_paused = true)]
async fn transient_failure_is_tried_again_until_attempts_run_out() {
    let began = Instant::now();
    let mut seen = Vec::new();
    let guard = attempts(4).build();
    let error = guard.run(|attempt| {
        seen.push((attempt, began.elapsed().as_secs()));
        async { Err::<(), _>(Refusal::Busy) }
    });
    let error = error.await.unwrap_err();
    assert_eq!(
        error,
        GuardError::Failed {
            attempts: 4,
            source: Refusal::Busy
        }
    );
    assert_eq!(seen, [(1, 0), (2, 1), (3, 3), (4, 7)]);
    assert_eq!(began.elapsed(), 7 * SECOND, "no pause behind the last attempt");
}

#[tokio::test(start_paused = true)]
async fn terminal_failure_is_not_tried_again() {
    let mut calls = 0;
    let guard = attempts(5).build();
    let error = guard.run(|_| {
        calls += 1;
        async { Err::<(), _>(Refusal::No) }
    });
    assert_eq!(
        error.await.unwrap_err(),
        GuardError::Failed {
            attempts: 1,
            source: Refusal::No
        }
    );
    assert_eq!(calls, 1);
}

#[tokio::test(start_paused = true)]
async fn the_other_sides_wish_raises_the_pause() {
    let began = Instant::now();
    let guard = attempts(2).build();
    let value = guard.run(|attempt| async move {
        if attempt == 1 {
            Err(Refusal::Later(30 * SECOND))
        } else {
            Ok(7)
        }
    });
    assert_eq!(value.await, Ok(7));
    assert_eq!(began.elapsed(), 30 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_slow_attempt_is_dropped_and_tried_again() {
    let guard = attempts(2).timeout(5 * SECOND).build();
    let alive = Arc::new(());
    let value = guard.run(|attempt| {
        let alive = Arc::clone(&alive);
        async move {
            if attempt == 1 {
                pending::<()>().await;
            }
            Ok::<_, Refusal>(Arc::strong_count(&alive))
        }
    });
    assert_eq!(value.await, Ok(2), "the first attempt is gone");
    let error = guard.run(|_| pending::<Result<(), Refusal>>()).await.unwrap_err();
    assert_eq!(
        error,
        GuardError::TimedOut {
            attempts: 2,
            timeout: 5 * SECOND
        }
    );
}

#[tokio::test(start_paused = true)]
async fn failures_open_the_breaker_and_an_open_one_is_not_bothered() {
    let guard = attempts(1).breaker(breaker(2)).build();
    for _ in 0..2 {
        assert!(guard.run(|_| async { Err::<(), _>(Refusal::Busy) }).await.is_err());
    }
    let error = guard
        .run(|_| async { panic!("called") as Result<(), Refusal> })
        .await
        .unwrap_err();
    assert_eq!(error, GuardError::Open { left: 60 * SECOND });
    assert_eq!(
        error.verdict(),
        Verdict::Transient {
            after: Some(60 * SECOND)
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_opens_the_breaker_itself_ends_with_its_own_error_at_once() {
    let began = Instant::now();
    let guard = attempts(5).breaker(breaker(2)).build();
    let error = guard.run(|_| async { Err::<(), _>(Refusal::Busy) }).await.unwrap_err();
    assert_eq!(
        error,
        GuardError::Failed {
            attempts: 2,
            source: Refusal::Busy
        }
    );
    assert_eq!(began.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_answer_to_the_breaker() {
    let guard = attempts(1).breaker(breaker(2)).build();
    for error in [Refusal::Busy, Refusal::No, Refusal::Busy] {
        let mut error = Some(error);
        assert!(
            guard
                .run(|_| std::future::ready(Err::<(), _>(error.take().unwrap())))
                .await
                .is_err()
        );
    }
    assert_eq!(guard.breaker().unwrap().state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_no_slot() {
    let limit = Limit::new(1);
    let guard = attempts(2).limit(limit.clone()).build();
    let mut run = Box::pin(guard.run(|_| async { Err::<(), _>(Refusal::Busy) }));
    tokio::select! {
        _ = &mut run => panic!("the pause is a second long"),
        () = tokio::time::sleep(SECOND / 2) => {}
    }
    let slot = limit.try_acquire().expect("free during the pause");
    assert!(
        tokio::time::timeout(10 * SECOND, &mut run).await.is_err(),
        "the second attempt waits for a slot"
    );
    drop(slot);
    assert!(run.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn no_more_attempts_run_at_once_than_the_limit_lets() {
    let guard = attempts(1).limit(Limit::new(2)).build();
    let one = |_| async {
        tokio::time::sleep(SECOND).await;
        Ok::<_, Refusal>(guard.limit().unwrap().busy())
    };
    let began = Instant::now();
    let (a, b, c) = tokio::join!(guard.run(one), guard.run(one), guard.run(one));
    assert!([a, b, c].into_iter().all(|busy| busy.unwrap() <= 2));
    assert_eq!(began.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_an_attempt_a_pause_and_a_wait_for_a_slot() {
    let drain = Drain::new();
    let limit = Limit::new(0);
    let attempt = attempts(1).drain(drain.clone()).build();
    let pause = attempts(2).drain(drain.clone()).build();
    let wait = attempts(1).drain(drain.clone()).limit(limit).build();
    drain.begin();
    let cut = async {
        tokio::time::sleep(SECOND / 2).await;
        drain.cut_now();
    };
    let (a, b, c, ()) = tokio::join!(
        attempt.run(|_| pending::<Result<(), Refusal>>()),
        pause.run(|_| async { Err::<(), _>(Refusal::Busy) }),
        wait.run(|_| async { Ok::<_, Refusal>(()) }),
        cut
    );
    assert_eq!(
        [a, b, c],
        [Err(GuardError::Cut), Err(GuardError::Cut), Err(GuardError::Cut)]
    );
    assert_eq!(attempt.admit().await.unwrap_err(), Refused::Cut);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_refuses_before_anyone_waits_for_a_slot() {
    let guard = attempts(1).breaker(breaker(1)).limit(Limit::new(1)).build();
    let mut first = guard.admit().await.unwrap();
    first.failed();
    let second = tokio::time::timeout(SECOND, guard.admit())
        .await
        .expect("the slot is still out");
    assert_eq!(second.unwrap_err(), Refused::Open { left: 60 * SECOND });
}

#[tokio::test(start_paused = true)]
async fn a_run_may_be_a_task() {
    let guard = attempts(2)
        .timeout(SECOND)
        .breaker(breaker(9))
        .limit(Limit::new(1))
        .drain(Drain::new())
        .build();
    let run = async move {
        guard
            .run(|attempt| async move { if attempt == 1 { Err(Refusal::Busy) } else { Ok(1) } })
            .await
    };
    assert_eq!(Drain::new().spawn("run", run).join().await.unwrap(), Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_gives_its_slot_and_its_trial_back() {
    let (breaker, limit) = (breaker(1), Limit::new(1));
    let guard = attempts(1).breaker(breaker.clone()).limit(limit.clone()).build();
    assert!(guard.run(|_| async { Err::<(), _>(Refusal::Busy) }).await.is_err());
    tokio::time::advance(60 * SECOND).await;
    let run = guard.run(|_| pending::<Result<(), Refusal>>());
    assert!(tokio::time::timeout(SECOND, run).await.is_err());
    assert_eq!(limit.busy(), 0);
    assert_eq!(guard.run(|_| async { Ok::<_, Refusal>(1) }).await, Ok(1));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_pass_is_told_once_and_keeps_its_slot_until_the_end() {
    let (breaker, limit) = (breaker(1), Limit::new(1));
    let guard = Guard::builder().breaker(breaker.clone()).limit(limit.clone()).build();
    let mut pass = guard.admit().await.unwrap();
    pass.succeeded();
    pass.failed();
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert_eq!(limit.busy(), 1);
    drop(pass);
    drop(guard.admit().await.unwrap());
    assert_eq!(breaker.state(), BreakerState::Closed, "untold counts as nothing");
    guard.admit().await.unwrap().failed();
    assert_eq!(guard.admit().await.unwrap_err(), Refused::Open { left: 60 * SECOND });
    assert_eq!(limit.busy(), 0, "a refusal keeps no slot");
}
