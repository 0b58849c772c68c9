//! Many at once, on several threads, cancelled at random, while members come and go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use handlers::{Call, Handler, HandlerError, Liveness, Ownership, Pool, Report};
use tokio::{task::JoinSet, time::timeout};
use wire::Reply;

use super::fake::{ask, call};

/// Counts how many are in it at once, and whether anybody comes in after it was retired.
#[derive(Debug, Default)]
struct Counting {
    busy: AtomicUsize,
    most: AtomicUsize,
    answered: AtomicUsize,
    retired: AtomicBool,
    late: AtomicUsize,
}

struct Inside<'a>(&'a Counting);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Handler for Counting {
    async fn call(&self, _call: &Call, _report: &mut Report<'_>) -> Result<Reply, HandlerError> {
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(busy, Ordering::SeqCst);
        let _inside = Inside(self);
        self.late
            .fetch_add(usize::from(self.retired.load(Ordering::SeqCst)), Ordering::SeqCst);
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        Ok(Reply::Done(None))
    }

    async fn ping(&self) -> Result<Liveness, HandlerError> {
        Ok(Liveness::Connected)
    }

    fn describe(&self) -> String {
        "counting".to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slots_hold_under_load_with_cancels_and_members_that_come_and_go() {
    const SLOTS: usize = 3;
    let pool = Pool::new("clean");
    let stays = Arc::new(Counting::default());
    pool.add(stays.clone(), SLOTS, Ownership::Foreign);
    let mut askers = JoinSet::new();
    for asker in 0..40_u64 {
        let pool = pool.clone();
        askers.spawn(async move {
            for round in 0..100_u64 {
                // From giving up at once to not giving up.
                let patience = Duration::from_micros((asker * 7 + round * 13) % 300);
                if round % 3 == 0 {
                    // A slot may be revoked between the two steps of asking; nothing else may go wrong.
                    while let Err(error) = ask(&pool).await {
                        assert!(matches!(error, HandlerError::Unreachable { .. }), "{error:?}");
                    }
                } else {
                    drop(timeout(patience, ask(&pool)).await);
                }
            }
        });
    }
    let mut guests = Vec::new();
    while guests.len() < 20 {
        let guest = Arc::new(Counting::default());
        let id = pool.add(guest.clone(), SLOTS, Ownership::Foreign);
        tokio::time::sleep(Duration::from_millis(2)).await;
        pool.retire(id).await;
        assert_eq!(guest.busy.load(Ordering::SeqCst), 0, "its exchanges have ended");
        guest.retired.store(true, Ordering::SeqCst);
        guests.push(guest);
    }
    while let Some(ended) = askers.join_next().await {
        ended.expect("no panic");
    }
    for counting in guests.iter().chain([&stays]) {
        assert!(counting.most.load(Ordering::SeqCst) <= SLOTS);
        assert_eq!(
            counting.late.load(Ordering::SeqCst),
            0,
            "nobody comes in after the last exchange"
        );
    }
    assert!(stays.answered.load(Ordering::SeqCst) > 100);
    let left = pool.members();
    assert_eq!((left.len(), left[0].taken, left[0].busy), (1, 0, 0));
    let slots = [pool.slot().await, pool.slot().await, pool.slot().await];
    assert!(timeout(Duration::from_millis(20), pool.slot()).await.is_err());
    drop(slots);
    pool.slot().await.call(&call(), &mut |_| {}).await.expect("an answer");
}
