//! The run itself: start everything, send, collect, count.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use chassis::{
    config::{self, Sources},
    lifecycle::Drain,
};
use indicatif::ProgressBar;
use messages::{Hop, Observer};
use queues::{Put, Queue, Settle};
use serde::Deserialize;
use wire::{Draft, Envelope, Json};

use super::material;
use crate::{
    config::Root,
    terminal,
    wiring::{Mode, Options, Running},
};

/// What came of it.
#[derive(Debug)]
pub struct Tally {
    /// Images sent, the corrupt one not counted.
    pub sent: usize,
    /// Verdicts by message id; a message that came out twice has two.
    pub verdicts: HashMap<String, Vec<Verdict>>,
    /// What stands at the error end.
    pub failed: Vec<Envelope>,
    /// Messages still in any queue at the end.
    pub left: u64,
    /// From the start to every handler being ready.
    pub starting: Duration,
    /// From the first put to the last verdict.
    pub working: Duration,
    /// Every hop's time, sorted.
    pub hops: Vec<Duration>,
}

/// What the last actor said about one image.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Verdict {
    /// Whether the classifier read it right.
    pub correct: bool,
    /// Whether the classifier had never seen it.
    pub held_out: bool,
}

/// Names the corrupt image in the tour.
pub const CORRUPT_ID: &str = "digit-corrupt";
const ROUTE: [&str; 3] = ["normalise", "classify", "judge"];
const BATCH: usize = 256;
const START: Duration = Duration::from_secs(30);
const FINISH: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_mins(2);

/// Runs the tour in `folder`, which holds the material; `None` when `drain` began before the end.
pub async fn run(
    folder: &Path,
    environment: BTreeMap<OsString, OsString>,
    drain: &Drain,
) -> anyhow::Result<Option<Tally>> {
    let sources = Sources::new(BTreeMap::new()).with_file(folder.join("outrigger.yaml"));
    let mut loaded = config::load::<Root>(&sources)?;
    // A tour must not fail because the usual port is taken; nobody is told to look there.
    loaded.value.admin.listen = Some("127.0.0.1:0".to_owned());
    let hops = Arc::new(Hops::default());
    let options = Options {
        mode: Mode::Up,
        only: None,
        environment,
        observer: Some(hops.clone()),
    };

    let began = Instant::now();
    let running = Running::start(&loaded, options, drain).await?;
    let tour = async {
        let ready = tokio::time::timeout(START, running.ready()).await;
        ready.context("the Python handlers did not start: is `python3` (3.9 or later) on the path?")?;
        let starting = began.elapsed();
        Ok((starting, work(running.queue()).await?))
    };
    let outcome: Option<anyhow::Result<_>> = tokio::select! {
        outcome = tour => Some(outcome),
        () = drain.begun() => None,
    };
    running.finish(Some(FINISH)).await;
    let Some((starting, (sent, counted))) = outcome.transpose()? else {
        return Ok(None);
    };
    let Counted {
        verdicts,
        failed,
        left,
        working,
    } = counted;
    Ok(Some(Tally {
        sent,
        verdicts,
        failed,
        left,
        starting,
        working,
        hops: hops.sorted(),
    }))
}

struct Counted {
    verdicts: HashMap<String, Vec<Verdict>>,
    failed: Vec<Envelope>,
    left: u64,
    working: Duration,
}

async fn work(queue: &Arc<dyn Queue>) -> anyhow::Result<(usize, Counted)> {
    let messages = compose()?;
    let sent = messages.len() - 1;
    let began = Instant::now();
    for batch in messages.chunks(BATCH) {
        queue.put(batch.to_vec()).await?;
    }
    let bar = terminal::bar(sent as u64, "images read");
    let verdicts = tokio::time::timeout(PATIENCE, collect(queue, sent, &bar)).await;
    bar.finish_and_clear();
    let verdicts = verdicts.with_context(|| format!("not every image came out within {PATIENCE:?}"))??;
    let working = began.elapsed();
    let failed = tokio::time::timeout(PATIENCE, failed(queue)).await;
    let failed = failed.context("the corrupt image did not come to the error end")??;
    let left = left(queue).await?;
    Ok((
        sent,
        Counted {
            verdicts,
            failed,
            left,
            working,
        },
    ))
}

/// Every image as a message, and the corrupt one among them.
fn compose() -> anyhow::Result<Vec<Put>> {
    let message = |id: String, payload: &'static str| -> anyhow::Result<Put> {
        let payload = Json::parse(Bytes::from_static(payload.as_bytes()))?;
        let body = Envelope::compose(Draft {
            id: Some(id),
            ..Draft::new(ROUTE, payload)
        });
        Ok(Put::new(ROUTE[0], body))
    };
    let images = material::IMAGES.lines().enumerate();
    let mut messages: Vec<Put> = images
        .map(|(row, image)| message(format!("digit-{row:04}"), image))
        .collect::<anyhow::Result<_>>()?;
    messages.insert(
        messages.len() / 2,
        message(CORRUPT_ID.to_owned(), material::CORRUPT.trim_end())?,
    );
    Ok(messages)
}

/// Takes verdicts from the happy end until there is one for each image.
async fn collect(
    queue: &Arc<dyn Queue>,
    sent: usize,
    bar: &ProgressBar,
) -> anyhow::Result<HashMap<String, Vec<Verdict>>> {
    let mut verdicts: HashMap<String, Vec<Verdict>> = HashMap::new();
    let mut happy_end = queue.consume("happy-end", BATCH).await?;
    while verdicts.len() < sent {
        let delivery = happy_end.take().await?;
        let envelope = Envelope::decode(delivery.body().clone())?;
        let verdict = envelope.payload().read().context("a verdict is not one")?;
        verdicts.entry(envelope.id().to_owned()).or_default().push(verdict);
        delivery.settle(Settle::Done).await?;
        bar.set_position(verdicts.len() as u64);
    }
    Ok(verdicts)
}

/// What stands at the error end, as soon as the corrupt image does.
async fn failed(queue: &Arc<dyn Queue>) -> anyhow::Result<Vec<Envelope>> {
    loop {
        let stands = queue.browse("error-end", None, BATCH).await?;
        let failed: Vec<Envelope> = stands
            .into_iter()
            .map(|message| Envelope::decode_at_end(message.body))
            .collect::<Result<_, _>>()?;
        if failed.iter().any(|envelope| envelope.id() == CORRUPT_ID) {
            return Ok(failed);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Messages in any queue but the error end.
async fn left(queue: &Arc<dyn Queue>) -> anyhow::Result<u64> {
    let stats = queue.stats().await?;
    ensure!(!stats.is_empty(), "the queue file names no queue");
    let mut left = 0;
    for stats in stats.iter().filter(|stats| &*stats.name != "error-end") {
        let (Some(depth), Some(in_flight)) = (stats.depth, stats.in_flight) else {
            bail!("queue `{}` does not say how many messages it holds", stats.name);
        };
        left += depth + in_flight + stats.delayed.unwrap_or(0);
    }
    Ok(left)
}

impl Tally {
    /// Whether every image came out once and nothing but the corrupt one failed.
    pub fn complete(&self) -> bool {
        self.lost() == 0 && self.repeated() == 0 && self.left == 0 && self.failed.len() == 1 && self.corrupt().is_some()
    }

    /// Images that did not come out.
    pub fn lost(&self) -> usize {
        self.sent - self.verdicts.len()
    }

    /// Verdicts beyond the first of each image.
    pub fn repeated(&self) -> usize {
        self.verdicts.values().map(|verdicts| verdicts.len() - 1).sum()
    }

    /// The corrupt image, as it stands at the error end.
    pub fn corrupt(&self) -> Option<&Envelope> {
        self.failed.iter().find(|envelope| envelope.id() == CORRUPT_ID)
    }

    /// Images that the classifier had never seen: how many it read right, of how many.
    pub fn unseen(&self) -> (usize, usize) {
        let unseen: Vec<_> = self
            .verdicts
            .values()
            .flatten()
            .filter(|verdict| verdict.held_out)
            .collect();
        (unseen.iter().filter(|verdict| verdict.correct).count(), unseen.len())
    }

    /// Messages a second that came out at the end of all three hops.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a demo sends fewer messages than a float can count"
    )]
    pub fn rate(&self) -> f64 {
        self.verdicts.len() as f64 / self.working.as_secs_f64()
    }

    /// The hop time that `percent` of all hops stayed within.
    pub fn hop(&self, percent: usize) -> Duration {
        let last = self.hops.len().saturating_sub(1);
        self.hops.get(last * percent / 100).copied().unwrap_or_default()
    }
}

/// Remembers the time of every hop.
#[derive(Debug, Default)]
struct Hops {
    times: Mutex<Vec<Duration>>,
}

impl Hops {
    fn sorted(&self) -> Vec<Duration> {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner).clone();
        times.sort_unstable();
        times
    }
}

impl Observer for Hops {
    fn hop(&self, hop: &Hop<'_>) {
        self.times
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(hop.whole);
    }
}
