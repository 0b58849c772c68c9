//! A handler that is not alive takes no messages. The clock stands still but where the pool waits for it.

use std::{sync::Arc, time::Duration};

use handlers::{Event, MemberState, Ownership, Pool};
use tokio::time::{Instant, sleep, timeout};

use super::fake::{Answer, Fake, Ping, ask, ask_with, live, states};

#[tokio::test(start_paused = true)]
async fn a_member_takes_no_work_until_a_connect_has_succeeded() {
    let fake = Fake::new("a", &[Ping::Refused, Ping::Mute, Ping::Refused], &[]);
    let pool = Pool::new("clean");
    let id = pool.add(fake.clone(), 2, Ownership::Foreign);
    assert_eq!((pool.slots(), pool.readiness().borrow().is_ready()), (0, false));
    ask(&pool).await.unwrap();
    assert_eq!((fake.pinged(), fake.called()), (4, 1));
    assert_eq!((pool.slots(), pool.readiness().borrow().is_ready()), (2, true));
    assert_eq!(pool.event().await, Event::Ready(id));
}

#[tokio::test(start_paused = true)]
async fn a_starting_handler_is_noticed_soon() {
    let fake = Fake::new("a", &[Ping::Refused; 4], &[]);
    let pool = Pool::new("clean");
    let begun = Instant::now();
    pool.add(fake, 1, Ownership::Ours);
    live(&pool, 1).await;
    // 20, 40, 80 and 160 ms, and a quarter more at most.
    assert!(begun.elapsed() < Duration::from_millis(380), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_pinged_while_all_is_well() {
    let fake = Fake::up("a", &[]);
    let pool = Pool::new("clean");
    pool.add(fake.clone(), 1, Ownership::Foreign);
    for _ in 0..3 {
        ask(&pool).await.unwrap();
        sleep(Duration::from_hours(1)).await;
    }
    assert_eq!(fake.pinged(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_or_unreachable_handler_is_down_until_a_connect_succeeds() {
    for answer in [Answer::Lost, Answer::Unreachable] {
        let fake = Fake::new("a", &[Ping::Connected, Ping::Refused], &[answer]);
        let pool = Pool::new("clean");
        let id = pool.add(fake.clone(), 2, Ownership::Foreign);
        live(&pool, 1).await;
        let idle = pool.slot().await;
        ask(&pool).await.unwrap_err();
        assert_eq!(states(&pool), [MemberState::Down]);
        assert!(idle.is_revoked());
        drop(idle);
        assert_eq!(
            [pool.event().await, pool.event().await],
            [Event::Ready(id), Event::Lost(id)]
        );
        ask(&pool).await.unwrap();
        assert_eq!(fake.pinged(), 3);
        assert_eq!(pool.event().await, Event::Ready(id));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_lets_us_in_and_is_lost_again_waits_longer_each_time_until_it_has_answered() {
    for lost in [Answer::Lost, Answer::Unreachable] {
        let mut script = vec![lost; 12];
        script.extend([Answer::Done, lost]);
        let fake = Fake::up("a", &script);
        let pool = Pool::new("clean");
        pool.add(fake.clone(), 2, Ownership::Foreign);
        let (begun, mut waits) = (Instant::now(), Vec::new());
        for _ in 0..13 {
            let asked = Instant::now();
            drop(ask(&pool).await);
            waits.push(asked.elapsed());
        }
        assert!(
            waits[1] < Duration::from_millis(30),
            "a plain restart is noticed soon: {waits:?}"
        );
        let longer = waits.windows(2).filter(|pair| pair[1] > pair[0]).count();
        assert!(longer > 7 && begun.elapsed() > Duration::from_secs(15), "{waits:?}");
        assert!(*waits.iter().max().unwrap() <= Duration::from_secs(5), "{waits:?}");
        ask(&pool).await.unwrap_err();
        let asked = Instant::now();
        ask(&pool).await.unwrap();
        assert!(asked.elapsed() < Duration::from_millis(30), "it had answered meanwhile");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_badly_is_alive() {
    let fake = Fake::up("a", &[Answer::Bad]);
    let pool = Pool::new("clean");
    pool.add(fake, 1, Ownership::Foreign);
    ask(&pool).await.unwrap_err();
    assert_eq!(states(&pool), [MemberState::Live]);
}

#[tokio::test(start_paused = true)]
async fn ours_leaves_when_it_has_timed_out_and_its_neighbours_work_on() {
    let (slow, other) = (Fake::up("slow", &[Answer::Timeout]), Fake::up("other", &[]));
    let pool = Pool::new("clean");
    let id = pool.add(slow.clone(), 1, Ownership::Ours);
    live(&pool, 1).await;
    ask(&pool).await.unwrap_err();
    assert_eq!(
        [pool.event().await, pool.event().await],
        [Event::Ready(id), Event::TimedOut(id)]
    );
    pool.add(other.clone(), 1, Ownership::Ours);
    for _ in 0..3 {
        ask(&pool).await.unwrap();
    }
    assert_eq!((slow.called(), other.called()), (1, 3));
    assert_eq!(states(&pool), [MemberState::Leaving, MemberState::Live]);
    pool.retire(id).await;
    pool.remove(id);
    assert_eq!(states(&pool), [MemberState::Live]);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_protocol_1_handler_that_timed_out_is_down_until_a_ping_is_answered() {
    let pings = [Ping::Answered, Ping::Mute, Ping::Mute, Ping::Answered];
    let fake = Fake::new("a", &pings, &[Answer::Timeout]);
    let pool = Pool::new("clean");
    pool.add(fake.clone(), 2, Ownership::Foreign);
    ask(&pool).await.unwrap_err();
    assert_eq!(states(&pool), [MemberState::Down]);
    let mut slot = pool.slot().await;
    assert_eq!((slot.is_probe(), fake.pinged()), (false, 4));
    ask_with(&mut slot).await.unwrap();
    assert_eq!(pool.slots(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_plain_handler_that_timed_out_gets_one_probe_at_a_time_with_backoff() {
    let fake = Fake::up("a", &[Answer::Timeout, Answer::Timeout]);
    let pool = Pool::new("clean");
    let id = pool.add(fake.clone(), 4, Ownership::Foreign);
    ask(&pool).await.unwrap_err();
    let begun = Instant::now();
    let mut probe = pool.slot().await;
    assert!(probe.is_probe() && !pool.readiness().borrow().is_ready());
    assert!(begun.elapsed() >= Duration::from_secs(1) && begun.elapsed() < Duration::from_millis(1500));
    assert!(
        timeout(Duration::from_secs(100), pool.slot()).await.is_err(),
        "one at a time"
    );
    ask_with(&mut probe).await.unwrap_err();
    drop(probe);
    let begun = Instant::now();
    let mut probe = pool.slot().await;
    assert!(
        probe.is_probe() && begun.elapsed() >= Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    ask_with(&mut probe).await.unwrap();
    drop(probe);
    assert_eq!((states(&pool), pool.slots()), (vec![MemberState::Live], 4));
    let events = [pool.event().await, pool.event().await];
    assert_eq!(events, [Event::TimedOut(id), Event::Ready(id)]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_not_used_goes_to_the_next_in_the_row() {
    let fake = Fake::up("a", &[Answer::Timeout]);
    let pool = Pool::new("clean");
    pool.add(fake, 4, Ownership::Foreign);
    ask(&pool).await.unwrap_err();
    let unused = pool.slot().await;
    let (second, ()) = tokio::join!(pool.slot(), async { drop(unused) });
    assert!(second.is_probe());
}

#[tokio::test(start_paused = true)]
async fn after_a_probe_that_was_lost_a_connect_is_enough() {
    let fake = Fake::up("a", &[Answer::Timeout, Answer::Lost]);
    let pool = Pool::new("clean");
    pool.add(fake, 1, Ownership::Foreign);
    ask(&pool).await.unwrap_err();
    ask(&pool).await.unwrap_err();
    assert!(!pool.slot().await.is_probe());
}

#[tokio::test(start_paused = true)]
async fn one_that_was_gone_meanwhile_needs_no_probe() {
    let fake = Fake::new("a", &[Ping::Connected, Ping::Refused], &[Answer::Timeout]);
    let pool = Pool::new("clean");
    pool.add(fake, 1, Ownership::Foreign);
    ask(&pool).await.unwrap_err();
    assert!(!pool.slot().await.is_probe());
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_began_before_the_handler_came_up_again_says_nothing_about_it() {
    for late in [&Answer::Lost, &Answer::Timeout] {
        let fake = Fake::up("a", &[Answer::Wait(late), Answer::Lost]);
        let pool = Pool::new("clean");
        pool.add(fake.clone(), 2, Ownership::Foreign);
        let (mut one, mut two) = (pool.slot().await, pool.slot().await);
        let slow = ask_with(&mut one);
        let quick = async {
            ask_with(&mut two).await.unwrap_err();
            live(&pool, 1).await;
            fake.gate.add_permits(1);
        };
        let (late, ()) = tokio::join!(slow, quick);
        late.unwrap_err();
        assert_eq!(states(&pool), [MemberState::Live]);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_message_hears_that_the_slot_is_worth_nothing_any_more() {
    let fake = Fake::up("a", &[Answer::Wait(&Answer::Lost)]);
    let pool = Pool::new("clean");
    pool.add(fake.clone(), 2, Ownership::Foreign);
    let (mut busy, mut idle) = (pool.slot().await, pool.slot().await);
    fake.gate.add_permits(1);
    let (lost, ()) = tokio::join!(ask_with(&mut busy), idle.revoked());
    lost.unwrap_err();
    let error = ask_with(&mut idle).await.unwrap_err();
    assert!(matches!(error, handlers::HandlerError::Unreachable { .. }), "{error:?}");
    assert_eq!(fake.called(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slot_of_one_that_has_gone_moves_to_another_that_is_free() {
    let (gone, other) = (Fake::up("gone", &[]), Fake::up("other", &[]));
    let pool = Pool::new("clean");
    let id = pool.add(gone.clone(), 1, Ownership::Ours);
    live(&pool, 1).await;
    let mut slot = pool.slot().await;
    let stays = pool.add(other.clone(), 1, Ownership::Ours);
    live(&pool, 2).await;
    pool.remove(id);
    ask_with(&mut slot).await.unwrap();
    assert_eq!((slot.member(), gone.called(), other.called()), (stays, 0, 1));
    drop(slot);
    assert_eq!(pool.members()[0].taken, 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_running_when_the_pool_is_dropped() {
    let fake = Fake::new("a", &[Ping::Refused; 1000], &[]);
    let pool = Pool::new("clean");
    pool.add(fake.clone(), 1, Ownership::Foreign);
    sleep(Duration::from_secs(3)).await;
    drop(pool);
    tokio::task::yield_now().await;
    let pinged = fake.pinged();
    sleep(Duration::from_mins(1)).await;
    assert!(pinged > 1 && fake.pinged() == pinged);
    assert_eq!(Arc::strong_count(&fake), 1);
}
