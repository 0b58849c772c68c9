//! Whose turn it is.

use std::{future::Future, pin::pin, task::Context, task::Poll, task::Waker, time::Duration};

use handlers::{Ownership, Pool};
use tokio::time::timeout;

use super::fake::{Answer, Fake, ask_with, live};

#[tokio::test(start_paused = true)]
async fn first_come_first_served() {
    let pool = Pool::new("clean");
    pool.add(Fake::up("a", &[]), 1, Ownership::Foreign);
    let held = pool.slot().await;
    let order = std::sync::Mutex::new(Vec::new());
    let wait = async |number: u32| {
        let _slot = pool.slot().await;
        order.lock().unwrap().push(number);
    };
    tokio::join!(wait(1), wait(2), wait(3), async { drop(held) });
    assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn the_least_busy_member_is_next() {
    let pool = Pool::new("clean");
    let big = pool.add(Fake::up("big", &[]), 3, Ownership::Foreign);
    live(&pool, 1).await;
    let first = pool.slot().await;
    let small = pool.add(Fake::up("small", &[]), 1, Ownership::Foreign);
    live(&pool, 2).await;
    let (second, third) = (pool.slot().await, pool.slot().await);
    assert_eq!([first.member(), second.member(), third.member()], [big, small, big]);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_leaves_the_place_to_the_next() {
    let pool = Pool::new("clean");
    pool.add(Fake::up("a", &[]), 1, Ownership::Foreign);
    let held = pool.slot().await;
    assert!(timeout(Duration::from_secs(1), pool.slot()).await.is_err());
    let (next, ()) = tokio::join!(timeout(Duration::from_secs(1), pool.slot()), async { drop(held) });
    assert!(next.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_after_having_been_handed_a_slot_loses_none() {
    let pool = Pool::new("clean");
    pool.add(Fake::up("a", &[]), 1, Ownership::Foreign);
    let held = pool.slot().await;
    {
        let mut waiting = pin!(pool.slot());
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(waiting.as_mut().poll(&mut context), Poll::Pending));
        drop(held);
        assert_eq!(pool.members()[0].taken, 1, "handed over");
    }
    assert_eq!(pool.members()[0].taken, 0);
    assert!(timeout(Duration::from_secs(1), pool.slot()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_was_handed_over_and_revoked_at_once_is_not_given_out() {
    let fake = Fake::up("a", &[Answer::Lost]);
    let pool = Pool::new("clean");
    pool.add(fake.clone(), 2, Ownership::Foreign);
    let (mut one, two) = (pool.slot().await, pool.slot().await);
    let mut waiting = pin!(pool.slot());
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(waiting.as_mut().poll(&mut context), Poll::Pending));
    drop(two);
    ask_with(&mut one).await.unwrap_err();
    let slot = waiting.await;
    assert!(!slot.is_revoked() && fake.pinged() == 2);
}

#[tokio::test(start_paused = true)]
async fn one_who_only_waits_for_work_hears_that_another_has_some() {
    let pool = Pool::new("clean");
    pool.add(Fake::up("a", &[]), 1, Ownership::Foreign);
    let idle = pool.slot().await;
    let give_up = async {
        pool.wanted().await;
        drop(idle);
    };
    let (slot, ()) = tokio::join!(pool.slot_for_work(), give_up);
    // It has what it wanted: nobody is asked to give anything up any more.
    assert!(timeout(Duration::from_secs(1), pool.wanted()).await.is_err());
    drop(slot);
    let _free = pool.slot_for_work().await;
}
