//! `outrigger dead redrive` and `outrigger dead drop`.

use std::{collections::BTreeSet, process::ExitCode, sync::Arc};

use jiff::Timestamp;
use queues::{Again, Delivery, ForwardError, Put, Queue, Settle};
use serde::Serialize;
use tokio::task::JoinSet;
use wire::Replay;

use super::letter::{Filter, Letter, Letters};
use crate::{
    cli::DeadPick,
    config::Root,
    exit::{self, Code, Failure},
    human::count,
    output::{Array, Out},
    progress::Progress,
    terminal::{self, Paint},
};

/// Sends messages again to the actor where they failed; its queue is on `actors` where that is not the queue that the
/// failed ones are on.
pub(super) async fn redrive(
    args: &DeadPick,
    queue: &Arc<dyn Queue>,
    end: &str,
    actors: Option<&Arc<dyn Queue>>,
    root: &Root,
) -> anyhow::Result<ExitCode> {
    let (root, actors) = (Arc::new(root.clone()), actors.cloned());
    each(args, queue, end, Deed::Redrive { root, actors }).await
}

/// Removes messages for good.
pub(super) async fn drop(args: &DeadPick, queue: &Arc<dyn Queue>, end: &str) -> anyhow::Result<ExitCode> {
    each(args, queue, end, Deed::Drop).await
}

/// What is done to a message.
#[derive(Debug, Clone)]
enum Deed {
    Redrive {
        root: Arc<Root>,
        actors: Option<Arc<dyn Queue>>,
    },
    Drop,
}

/// What became of a message, for scripts.
#[derive(Debug, Serialize)]
struct Outcome {
    id: Option<String>,
    actor: Option<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

async fn each(args: &DeadPick, queue: &Arc<dyn Queue>, end: &str, deed: Deed) -> anyhow::Result<ExitCode> {
    let end: Arc<str> = end.into();
    let mut work = Work {
        queue,
        end: &end,
        deed,
        running: JoinSet::new(),
        printer: Printer::new(args.output.json()),
        progress: Progress::new("working", None),
        worst: None,
    };
    if args.all {
        let filter = Filter {
            actor: args.actor.as_deref(),
            code: args.code.as_deref(),
        };
        let last = newest(&**queue, &end).await?;
        let mut letters = Letters::new(&**queue, &end);
        while let Some(letter) = letters.next().await? {
            // What failed again meanwhile is behind the last one, and is not sent in a circle.
            if last.is_none_or(|last| letter.position > last) {
                break;
            }
            if filter.fits(&letter.summary()) {
                work.begin(letter).await?;
            }
        }
    } else {
        let letters = Letters::new(&**queue, &end).named(&args.ids).await?;
        let ids: BTreeSet<_> = letters.iter().filter_map(Letter::id).collect();
        if ids.len() < letters.len() {
            eprintln!(
                "{} stand under {}: all of them are meant",
                count(letters.len(), "message"),
                count(ids.len(), "id")
            );
        }
        for letter in letters {
            work.begin(letter).await?;
        }
    }
    work.end().await
}

/// The position of the newest message that is there now.
async fn newest(queue: &dyn Queue, end: &str) -> anyhow::Result<Option<u64>> {
    let mut letters = Letters::new(queue, end);
    let mut last = None;
    while let Some(letter) = letters.next().await? {
        last = Some(letter.position);
    }
    Ok(last)
}

/// Messages under way, a bounded number at once.
struct Work<'w> {
    queue: &'w Arc<dyn Queue>,
    end: &'w Arc<str>,
    deed: Deed,
    running: JoinSet<(Letter, anyhow::Result<&'static str>)>,
    printer: Printer,
    progress: Progress,
    worst: Option<Code>,
}

impl Work<'_> {
    async fn begin(&mut self, letter: Letter) -> anyhow::Result<()> {
        while self.running.len() >= AT_ONCE {
            self.finish_one().await?;
        }
        let (queue, end, deed) = (self.queue.clone(), self.end.clone(), self.deed.clone());
        self.running.spawn(async move {
            let result = deed.carry_out(&*queue, &end, &letter).await;
            (letter, result)
        });
        Ok(())
    }

    async fn finish_one(&mut self) -> anyhow::Result<()> {
        let Some(joined) = self.running.join_next().await else {
            return Ok(());
        };
        let (letter, result) = joined?;
        if let Err(error) = &result {
            self.worst.get_or_insert(exit::code_of(error));
        }
        self.progress.advance(1);
        self.printer.outcome(&letter, result)?;
        Ok(())
    }

    async fn end(mut self) -> anyhow::Result<ExitCode> {
        while !self.running.is_empty() {
            self.finish_one().await?;
        }
        self.printer.end(&self.deed)?;
        Ok(self.worst.map_or(ExitCode::SUCCESS, ExitCode::from))
    }
}

impl Deed {
    async fn carry_out(&self, queue: &dyn Queue, end: &str, letter: &Letter) -> anyhow::Result<&'static str> {
        match self {
            Self::Drop => {
                claim(queue, end, letter).await?.settle(Settle::Done).await?;
                Ok("dropped")
            }
            Self::Redrive { root, actors } => {
                let Replay { actor, body } = replay(letter)?;
                let put = Put::new(root.queue_of(&actor), body);
                let delivery = claim(queue, end, letter).await?;
                let sent = match actors {
                    None => delivery.forward(vec![put]).await,
                    Some(actors) => match actors.put(vec![put]).await {
                        Ok(()) => delivery.forward(Vec::new()).await,
                        Err(error) => Err(ForwardError::Refused {
                            delivery: Box::new(delivery),
                            error,
                        }),
                    },
                };
                match sent {
                    Ok(()) => Ok("redriven"),
                    Err(ForwardError::Refused { delivery, error }) => {
                        delivery.settle(Settle::Again(Again::UNCOUNTED)).await?;
                        let id = letter.id().unwrap_or("-");
                        Err(anyhow::Error::from(error).context(format!("message `{id}` stays in `{end}`")))
                    }
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}

fn replay(letter: &Letter) -> anyhow::Result<Replay> {
    let refused = |error: Box<dyn std::error::Error + Send + Sync>| {
        let id = letter.id().unwrap_or("-");
        let failure = Failure::new(Code::Data, format!("message `{id}` cannot be sent again as it is")).because(error);
        failure
            .help("`outrigger dead show` has its bytes: send a corrected message, then drop this one")
            .into()
    };
    match &letter.envelope {
        Ok(envelope) => envelope.replay(Timestamp::now()).map_err(|error| refused(error.into())),
        Err(invalid) => Err(refused(invalid.clone().into())),
    }
}

async fn claim(queue: &dyn Queue, end: &str, letter: &Letter) -> anyhow::Result<Delivery> {
    let claimed = queue.claim(end, letter.position).await?;
    claimed.ok_or_else(|| {
        let id = letter.id().unwrap_or("-");
        let failure = Failure::new(
            Code::Unavailable,
            format!("message `{id}` is held by somebody else, or gone"),
        );
        failure.help("look again with `outrigger dead ls`").into()
    })
}

/// Prints outcomes, and keeps count.
struct Printer {
    out: Out,
    array: Option<Array>,
    done: usize,
}

impl Printer {
    fn new(json: bool) -> Self {
        Self {
            out: Out::new(),
            array: json.then(Array::default),
            done: 0,
        }
    }

    fn outcome(&mut self, letter: &Letter, result: anyhow::Result<&'static str>) -> anyhow::Result<()> {
        self.done += usize::from(result.is_ok());
        let actor = letter
            .envelope
            .as_ref()
            .ok()
            .and_then(|envelope| envelope.here())
            .map(str::to_owned);
        let id = letter.id().map(str::to_owned);
        if let Err(error) = &result
            && self.array.is_none()
        {
            eprint!("{}", exit::render(error, Paint::new(terminal::stderr_has_colour())));
        }
        let outcome = match result {
            Ok(status) => Outcome {
                id,
                actor,
                status,
                error: None,
            },
            Err(error) => Outcome {
                id,
                actor,
                status: "kept",
                error: Some(format!("{error:#}")),
            },
        };
        match &mut self.array {
            Some(array) => array.value(&mut self.out, &outcome)?,
            None if outcome.error.is_none() => self.out.line(outcome.id.unwrap_or_default())?,
            None => {}
        }
        Ok(())
    }

    fn end(mut self, deed: &Deed) -> anyhow::Result<()> {
        if let Some(array) = self.array {
            array.end(&mut self.out)?;
            return Ok(());
        }
        self.out.flush()?;
        let done = count(self.done, "message");
        match deed {
            Deed::Redrive { .. } => eprintln!("sent {done} again"),
            Deed::Drop => eprintln!("dropped {done}"),
        }
        Ok(())
    }
}

/// Claims and settles under way at once: they share syncs of the disk.
const AT_ONCE: usize = 32;
