//! Members that leave: retired, removed, or given no more work for what they may still be doing.

use std::time::Duration;

use handlers::{Event, MemberState, Ownership, Pool};
use tokio::time::timeout;

use super::fake::{Answer, Fake, ask, ask_with, live, states};

#[tokio::test(start_paused = true)]
async fn retire_ends_when_the_last_exchange_has_ended_and_no_work_begins_meanwhile() {
    let fake = Fake::up("a", &[Answer::Wait(&Answer::Done), Answer::Wait(&Answer::Done)]);
    let pool = Pool::new("clean");
    let id = pool.add(fake.clone(), 3, Ownership::Ours);
    let (mut one, mut two, idle) = (pool.slot().await, pool.slot().await, pool.slot().await);
    let work = async { tokio::join!(ask_with(&mut one), ask_with(&mut two)) };
    let leave = async {
        tokio::task::yield_now().await;
        let mut retired = std::pin::pin!(pool.retire(id));
        assert!(idle.is_revoked());
        fake.gate.add_permits(1);
        assert!(timeout(Duration::from_secs(9), retired.as_mut()).await.is_err());
        assert_eq!((states(&pool), pool.busy()), (vec![MemberState::Leaving], 1));
        assert!(timeout(Duration::from_secs(9), pool.slot()).await.is_err());
        fake.gate.add_permits(1);
        retired.await;
        assert_eq!((states(&pool), pool.busy()), (vec![MemberState::Leaving], 0));
    };
    let ((one, two), ()) = tokio::join!(work, leave);
    one.unwrap();
    two.unwrap();
    assert_eq!(fake.called(), 2);
}

#[tokio::test(start_paused = true)]
async fn retire_does_not_wait_for_slots_without_an_exchange() {
    let pool = Pool::new("clean");
    let id = pool.add(Fake::up("a", &[]), 1, Ownership::Foreign);
    let _idle = pool.slot().await;
    pool.retire(id).await;
    assert!(pool.members().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_is_retired_leaves_though_nobody_waits_for_it() {
    let pool = Pool::new("clean");
    let id = pool.add(Fake::up("a", &[]), 1, Ownership::Foreign);
    live(&pool, 1).await;
    drop(pool.retire(id));
    assert!(pool.members().is_empty() && !pool.readiness().borrow().is_ready());
}

#[tokio::test(start_paused = true)]
async fn removing_a_member_ends_the_wait_for_its_exchanges() {
    let fake = Fake::up("a", &[Answer::Wait(&Answer::Done)]);
    let pool = Pool::new("clean");
    let id = pool.add(fake, 1, Ownership::Ours);
    let mut slot = pool.slot().await;
    tokio::select! {
        reply = ask_with(&mut slot) => panic!("answered: {reply:?}"),
        () = async { tokio::task::yield_now().await; let retired = pool.retire(id); pool.remove(id); retired.await; } => {}
    }
    assert!(pool.members().is_empty());
}

#[tokio::test(start_paused = true)]
async fn ours_is_given_no_more_work_when_its_exchange_was_cancelled_and_a_foreign_one_is() {
    for (ownership, then) in [
        (Ownership::Ours, MemberState::Leaving),
        (Ownership::Foreign, MemberState::Live),
    ] {
        let pool = Pool::new("clean");
        let id = pool.add(Fake::up("a", &[Answer::Wait(&Answer::Done)]), 1, ownership);
        live(&pool, 1).await;
        assert_eq!(pool.event().await, Event::Ready(id));
        assert!(timeout(Duration::from_secs(1), ask(&pool)).await.is_err());
        assert_eq!(states(&pool), [then]);
        assert_eq!((pool.busy(), pool.members()[0].taken), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_exchange_with_a_member_that_takes_no_more_is_told() {
    let wait = Answer::Wait(&Answer::Done);
    let (old, new) = (Fake::up("old", &[wait, wait]), Fake::up("new", &[]));
    let pool = Pool::new("clean");
    let id = pool.add(old.clone(), 2, Ownership::Ours);
    let (mut one, mut two) = (pool.slot().await, pool.slot().await);
    let work = async { tokio::join!(ask_with(&mut one), ask_with(&mut two)) };
    let leave = async {
        tokio::task::yield_now().await;
        drop(pool.retire(id));
        pool.add(new.clone(), 2, Ownership::Ours);
        live(&pool, 1).await;
        let mut told = pool.readiness();
        for left in [2, 1, 0] {
            let now = timeout(Duration::from_secs(9), told.wait_for(|now| now.leaving == left)).await;
            assert_eq!(now.expect("told").expect("a pool").live, 1);
            assert_eq!(pool.room(), 2 + left);
            old.gate.add_permits(1);
        }
    };
    let ((one, two), ()) = tokio::join!(work, leave);
    one.unwrap();
    two.unwrap();
    assert_eq!(states(&pool), [MemberState::Leaving, MemberState::Live]);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_member_is_gone_with_its_last_exchange_and_ours_when_it_is_removed() {
    for ownership in [Ownership::Foreign, Ownership::Ours] {
        let fake = Fake::up("a", &[Answer::Wait(&Answer::Done)]);
        let pool = Pool::new("clean");
        let id = pool.add(fake.clone(), 1, ownership);
        let mut slot = pool.slot().await;
        let work = ask_with(&mut slot);
        let leave = async {
            tokio::task::yield_now().await;
            let retired = pool.retire(id);
            assert!(timeout(Duration::from_secs(9), pool.gone(id)).await.is_err());
            fake.gate.add_permits(1);
            retired.await;
            let gone = timeout(Duration::from_secs(9), pool.gone(id)).await.is_ok();
            assert_eq!(gone, ownership == Ownership::Foreign);
            tokio::join!(pool.gone(id), async { pool.remove(id) });
            pool.gone(id).await;
        };
        tokio::join!(work, leave).0.unwrap();
    }
}
