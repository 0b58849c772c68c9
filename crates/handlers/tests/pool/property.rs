//! In whatever order things happen: never more slots than there are, none lost, nobody waits beside a free one.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use handlers::{MemberId, Ownership, Pool, Slot};
use proptest::prelude::*;

use super::fake::{Fake, live};

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask,
    GiveUp(usize),
    GiveBack(usize),
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Ask),
        2 => any::<usize>().prop_map(Step::GiveUp),
        4 => any::<usize>().prop_map(Step::GiveBack),
        1 => any::<usize>().prop_map(Step::Remove),
    ]
}

type Waiting<'a> = Pin<Box<dyn Future<Output = Slot> + 'a>>;

/// Takes what has been handed over; those who wait must be served in order.
fn collect(waiting: &mut VecDeque<(u64, Waiting<'_>)>, held: &mut Vec<Slot>) {
    let mut context = Context::from_waker(Waker::noop());
    let mut still = VecDeque::new();
    for (number, mut future) in waiting.drain(..) {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(slot) => {
                assert!(still.is_empty(), "{number} was served before one who had come earlier");
                held.push(slot);
            }
            Poll::Pending => still.push_back((number, future)),
        }
    }
    *waiting = still;
}

fn check(pool: &Pool, members: &[(MemberId, usize)], held: &[Slot], waiting: usize) {
    let mut free = 0;
    for (id, slots) in members {
        let mine = held.iter().filter(|slot| slot.member() == *id).count();
        assert!(mine <= *slots, "{mine} of {slots}");
        free += slots - mine;
    }
    assert!(free == 0 || waiting == 0, "{waiting} wait beside {free} free");
    let taken: usize = pool.members().iter().map(|member| member.taken).sum();
    let alive = held
        .iter()
        .filter(|slot| members.iter().any(|(id, _)| *id == slot.member()))
        .count();
    assert_eq!(taken, alive, "no slot is lost");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn slots_are_neither_lost_nor_made_up(
        sizes in prop::collection::vec(1_usize..4, 1..4),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let pool = Pool::new("clean");
            let mut members: Vec<(MemberId, usize)> =
                sizes.iter().map(|slots| (pool.add(Fake::up("a", &[]), *slots, Ownership::Ours), *slots)).collect();
            live(&pool, members.len()).await;
            let (mut waiting, mut held, mut number) = (VecDeque::new(), Vec::new(), 0);
            for step in steps {
                match step {
                    Step::Ask => {
                        number += 1;
                        waiting.push_back((number, Box::pin(pool.slot()) as Waiting<'_>));
                    }
                    Step::GiveUp(which) if !waiting.is_empty() => drop(waiting.remove(which % waiting.len())),
                    Step::GiveBack(which) if !held.is_empty() => drop(held.swap_remove(which % held.len())),
                    Step::Remove(which) if !members.is_empty() => {
                        let (id, _) = members.swap_remove(which % members.len());
                        pool.remove(id);
                    }
                    _ => {}
                }
                collect(&mut waiting, &mut held);
                check(&pool, &members, &held, waiting.len());
            }
        });
    }
}
