//! What both kinds of buffer promise, tried on both.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use chassis::{lifecycle::Drain, telemetry::Metrics as Registry};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::{runtime, select, task::yield_now};

use super::{
    Buffer, Disk, Limits, Parcel,
    parcel::tests::{parcel, texts},
    policy::Lost,
};
use crate::{config::WhenFull, metrics::Metrics};

#[derive(Debug, Clone, Copy)]
enum Kind {
    Memory,
    Disk,
}

const BOTH: [Kind; 2] = [Kind::Memory, Kind::Disk];

/// A buffer, and what it needs to live.
struct Place {
    buffer: Buffer,
    _folder: Option<TempDir>,
}

fn limits(lines: usize, when_full: Option<WhenFull>) -> Limits {
    Limits {
        lines,
        lines_of_source: 4,
        disk: None,
        when_full,
        interval: Duration::ZERO,
        ripe: 100,
    }
}

pub(super) fn open(folder: &TempDir) -> Arc<Disk> {
    let metrics = Metrics::new(&Registry::default());
    Disk::open(&folder.path().join("a.db"), &metrics, Drain::new().hold()).unwrap()
}

fn place(kind: Kind, limits: Limits) -> Place {
    match kind {
        Kind::Memory => Place {
            buffer: Buffer::new(limits),
            _folder: None,
        },
        Kind::Disk => {
            let folder = tempfile::tempdir().unwrap();
            let limits = Limits {
                disk: Some(1 << 20),
                ..limits
            };
            Place {
                buffer: Buffer::on_disk(limits, open(&folder)),
                _folder: Some(folder),
            }
        }
    }
}

/// Runs until the sender is held back.
async fn until_held(buffer: &Buffer, push: impl Future<Output = Lost>) {
    select! {
        lost = push => panic!("not held back: {lost:?}"),
        () = async { while !buffer.holds() { yield_now().await } } => {}
    }
}

fn lines(batch: &[Parcel]) -> String {
    batch.iter().flat_map(texts).collect()
}

async fn all(buffer: &Buffer) -> String {
    buffer.close();
    let mut all = String::new();
    while let Some(batch) = buffer.take(3, 1 << 20).await {
        all += &lines(&batch);
        buffer.finish(&batch).await;
    }
    all
}

#[tokio::test]
async fn who_comes_to_a_full_buffer_waits_until_a_batch_has_left() {
    for kind in BOTH {
        let Place { buffer, _folder } = place(kind, limits(3, None));
        let mut push = pin!(buffer.push(parcel("a", &["1", "2", "3", "4"])));
        until_held(&buffer, push.as_mut()).await;
        let batch = buffer.take(2, 1 << 20).await.unwrap();
        until_held(&buffer, push.as_mut()).await;
        assert_eq!(buffer.lines(), 3, "under way is not gone");
        buffer.finish(&batch).await;
        assert_eq!(push.await, Lost::default());
        assert_eq!(all(&buffer).await, "34");
    }
}

#[tokio::test]
async fn a_source_above_its_share_waits_while_there_is_room_for_others() {
    for kind in BOTH {
        let Place { buffer, _folder } = place(kind, limits(10, None));
        let mut noisy = pin!(buffer.push(parcel("a", &["1", "2", "3", "4", "5"])));
        until_held(&buffer, noisy.as_mut()).await;
        assert_eq!(buffer.push(parcel("b", &["x"])).await, Lost::default());
        assert_eq!(buffer.lines(), 5);
    }
}

#[tokio::test]
async fn a_failing_backend_holds_nobody_back() {
    for kind in BOTH {
        let Place { buffer, _folder } = place(kind, limits(3, None));
        let mut push = pin!(buffer.push(parcel("a", &["1", "2", "3", "4"])));
        until_held(&buffer, push.as_mut()).await;
        buffer.set_failing(true);
        assert_eq!(push.await, Lost { full: 1, sampled: 0 });
        assert_eq!(all(&buffer).await, "123");
    }
}

#[tokio::test]
async fn a_noisy_source_gives_way_to_one_below_its_share() {
    for kind in BOTH {
        let Place { buffer, _folder } = place(kind, limits(6, Some(WhenFull::DropNewest)));
        let lost = buffer.push(parcel("a", &["1", "2", "3", "4", "5", "6", "7"])).await;
        assert_eq!(lost.full, 1);
        assert_eq!(buffer.push(parcel("b", &["x", "y", "z"])).await.full, 3);
        assert_eq!(buffer.lines(), 6);
        assert_eq!(all(&buffer).await, "1234xy");
    }
}

#[tokio::test]
async fn the_oldest_give_way_where_that_is_asked_for() {
    for kind in BOTH {
        let Place { buffer, _folder } = place(kind, limits(3, Some(WhenFull::DropOldest)));
        assert_eq!(buffer.push(parcel("a", &["1", "2"])).await.full, 0);
        assert_eq!(buffer.push(parcel("b", &["3", "4"])).await.full, 1);
        assert_eq!(buffer.push(parcel("c", &["5", "6", "7", "8"])).await.full, 4);
        assert_eq!(all(&buffer).await, "678");
    }
}

#[tokio::test]
async fn lines_wait_for_others_until_their_time_or_number_has_come() {
    for kind in BOTH {
        let limits = Limits {
            interval: Duration::from_hours(1),
            ripe: 2,
            ..limits(10, None)
        };
        let Place { buffer, _folder } = place(kind, limits);
        buffer.push(parcel("a", &["1"])).await;
        let mut take = pin!(buffer.take(9, 1 << 20));
        assert!(futures_util::poll!(take.as_mut()).is_pending());
        buffer.push(parcel("a", &["2"])).await;
        assert_eq!(lines(&take.await.unwrap()), "12");
    }
}

/// What happens to a buffer.
#[derive(Debug, Clone)]
enum Step {
    Push(usize, usize),
    Take(usize),
    Finish,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_usize..4, 1_usize..9).prop_map(|(source, lines)| Step::Push(source, lines)),
        2 => (1_usize..9).prop_map(Step::Take),
        2 => Just(Step::Finish),
    ]
}

/// Carries steps out; says what came of it, line by line, in words that two buffers can be compared by.
async fn play(buffer: &Buffer, steps: &[Step]) -> Vec<String> {
    let (mut sent, mut lost, mut got) = (0, 0, 0);
    let mut told = Vec::new();
    let mut under_way: Option<Vec<Parcel>> = None;
    for step in steps {
        match step {
            Step::Push(source, count) => {
                let text: Vec<String> = (sent..sent + count).map(|line| format!("{line},")).collect();
                let text: Vec<&str> = text.iter().map(String::as_str).collect();
                let dropped = buffer.push(parcel(&source.to_string(), &text)).await;
                sent += count;
                lost += dropped.full + dropped.sampled;
                told.push(format!("{dropped:?} {}", buffer.lines()));
                assert!(buffer.lines() <= 10);
            }
            Step::Take(count) => {
                let waits = sent - lost - got;
                if under_way.is_none() && waits > 0 {
                    let batch = buffer.take(*count, 64).await.unwrap();
                    got += batch.iter().map(|parcel| parcel.lines).sum::<usize>();
                    told.push(lines(&batch));
                    under_way = Some(batch);
                }
            }
            Step::Finish => {
                if let Some(batch) = under_way.take() {
                    buffer.finish(&batch).await;
                }
            }
        }
    }
    if let Some(batch) = under_way.take() {
        buffer.finish(&batch).await;
    }
    told.push(all(buffer).await);
    got += told.last().unwrap().matches(',').count();
    assert_eq!(sent, lost + got);
    assert!(buffer.is_bare());
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_lost_or_exceeded_in_any_order(
        steps in proptest::collection::vec(step(), 1..60),
        policy in prop_oneof![Just(WhenFull::DropNewest), Just(WhenFull::DropOldest), Just(WhenFull::Sample)],
    ) {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let in_memory = place(Kind::Memory, limits(10, Some(policy)));
            let on_disk = place(Kind::Disk, limits(10, Some(policy)));
            let told = [play(&in_memory.buffer, &steps).await, play(&on_disk.buffer, &steps).await];
            // Sampling throws dice.
            if policy != WhenFull::Sample {
                prop_assert_eq!(&told[0], &told[1]);
            }
            Ok(())
        })?;
    }
}
