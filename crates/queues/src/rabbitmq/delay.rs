//! Put-backs that wait: a queue without a consumer, out of which messages go back when their time has come.
//!
//! There is one for each queue and power of two, for waits up to that; a message carries its own time. RabbitMQ lets
//! messages go from the head only, so one may wait for another in front of it, but never for longer than the power of
//! two. The queues are of the kind that hands over with a confirm of its own, so nothing is lost on the way back, whatever
//! the kind of the queue itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use lapin::{
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable},
};

use super::{
    marks::Marks,
    publisher::Parcel,
    queue::Shared,
    topology,
    trouble::{self, Refusal},
};
use crate::QueueError;

/// Puts a message where it waits, and returns when it is safe there.
pub(super) async fn put(
    shared: &Shared,
    queue: &Arc<str>,
    body: Bytes,
    marks: Marks,
    after: Duration,
) -> Result<(), QueueError> {
    let level = Level::of(after);
    let name: Arc<str> = level.queue(queue).into();
    let parcel = Parcel {
        exchange: "".into(),
        key: Arc::clone(&name),
        queue: Arc::clone(&name),
        body,
        marks,
        expires: Some(milliseconds(after)),
    };
    loop {
        let mut tries = shared.tries(None);
        while let Err(error) = declare(shared, &name, queue, level.0).await {
            tries.failed(error).await?;
        }
        match shared.put_all(vec![parcel.clone()], None).await {
            // It expired, unused, in this very moment.
            Err(QueueError::NoQueue { .. }) => shared.delays.forget(&name),
            put => return put,
        }
    }
}

/// Declares a queue whose messages go to `target` when they expire.
pub(super) async fn declare(shared: &Shared, name: &str, target: &str, longest_ms: u64) -> Result<(), QueueError> {
    if shared.delays.is_fresh(name) {
        return Ok(());
    }
    let channel = shared.take.channel().await?;
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = topology::declare(&channel, name, durable, arguments(target, longest_ms)).await?;
    declared.map_err(|error| match trouble::refusal(&error) {
        Some((Refusal::Precondition | Refusal::Access | Refusal::Locked, said)) => QueueError::Refused {
            what: format!(
                "cannot declare `{name}`, where messages of `{target}` wait: {}",
                trouble::plain(&said)
            ),
            cure: "let this user configure and write queues of this name, and delete one that others made".to_owned(),
            source: Some(error.into()),
        },
        _ => trouble::away(format!("declare queue `{name}`"), error),
    })?;
    shared.delays.seen(name);
    Ok(())
}

/// A power of two, in milliseconds, that a wait fits into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level(u64);

impl Level {
    fn of(after: Duration) -> Self {
        Self(milliseconds(after).next_power_of_two())
    }

    fn queue(self, queue: &str) -> String {
        format!("{queue}.delay.{}ms", self.0)
    }
}

/// Rounded up, so that nothing comes before its time; not beyond what RabbitMQ takes.
fn milliseconds(after: Duration) -> u64 {
    let whole = after.as_nanos().div_ceil(1_000_000);
    u64::try_from(whole).unwrap_or(LONGEST).clamp(1, LONGEST)
}

fn arguments(target: &str, longest_ms: u64) -> FieldTable {
    let mut arguments = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    let number = |number: u64| AMQPValue::LongLongInt(i64::try_from(number).unwrap_or(i64::MAX));
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(target));
    // Confirmed on the way back; this is only to be had together with `reject-publish`.
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-message-ttl".into(), number(longest_ms));
    // Long enough for a message that was put at the last moment at which the declaration counts as fresh.
    arguments.insert("x-expires".into(), number(longest_ms + milliseconds(FRESH) + MARGIN_MS));
    arguments
}

/// Which delay queues were declared lately; each declaration puts off the end of an unused one.
#[derive(Debug, Default)]
pub(super) struct Delays {
    seen: std::sync::Mutex<std::collections::HashMap<String, Instant>>,
}

impl Delays {
    fn is_fresh(&self, name: &str) -> bool {
        self.lock().get(name).is_some_and(|at| at.elapsed() < FRESH)
    }

    fn seen(&self, name: &str) {
        let mut seen = self.lock();
        seen.retain(|_, at| at.elapsed() < FRESH);
        seen.insert(name.to_owned(), Instant::now());
    }

    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<String, Instant>> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// How long a declaration counts as fresh.
const FRESH: Duration = Duration::from_secs(30);
/// How much longer than needed an unused delay queue is kept.
const MARGIN_MS: u64 = 5 * 60 * 1000;
/// Some 12 days: RabbitMQ's clocks for messages and queues end at 2^32 - 1 milliseconds.
const LONGEST: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wait_goes_into_the_next_power_of_two() {
        let level = |ms| Level::of(Duration::from_millis(ms)).0;
        assert_eq!(
            [1, 2, 3, 250, 1000, 1024, 1025].map(level),
            [1, 2, 4, 256, 1024, 1024, 2048]
        );
        assert_eq!(Level::of(Duration::from_secs(1)).queue("clean"), "clean.delay.1024ms");
        assert_eq!(milliseconds(Duration::from_micros(1)), 1);
        assert_eq!(milliseconds(Duration::MAX), LONGEST);
    }

    proptest! {
        #[test]
        fn no_wait_is_cut_short_and_none_is_doubled(ms in 1..=LONGEST) {
            let level = Level::of(Duration::from_millis(ms)).0;
            prop_assert!(level >= ms && level < 2 * ms.max(1) && level.is_power_of_two());
        }
    }
}
