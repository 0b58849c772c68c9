//! The life of one replica: start, be ready, be started again when it ends, leave when it hangs, stop.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use chassis::guard::Backoff;
use handlers::{Event, MemberId};
use tokio::{sync::mpsc, time::Instant};
use tracing::{info, warn};

use crate::{
    process::{Process, in_words},
    supervisor::Crew,
};

/// How a process that was watched came to leave us.
enum Departure {
    /// It ended by itself.
    Ended,
    /// It did not answer in time; it leaves in a task of its own.
    Retired,
    /// We are shutting down; it is stopped.
    Stopped,
}

/// A process that was started and added to the pool.
struct Hand {
    name: String,
    process: Process,
    member: MemberId,
    events: mpsc::Receiver<Event>,
    socket: PathBuf,
    started: Instant,
}

/// Between the end of a process and the start of the next.
const RESTART: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
/// A process that took work for this long begins again with the shortest wait.
const STEADY: Duration = Duration::from_secs(10);
/// When a process that is still not ready is worth a word.
const SLOW_START: Duration = Duration::from_secs(30);

/// Keeps replica number `index` (1-based) running until the crew's drain begins and its work is done.
pub(crate) async fn keep(crew: Arc<Crew>, index: usize) {
    let mut restart = RESTART.steps();
    while !crew.drain.is_begun() {
        let pause = match start(&crew, index).await {
            Err(error) => {
                let wait = restart.failed(None);
                warn!(actor = crew.spec.actor, replica = index, %error, wait_ms = wait.as_millis(), "handler not started");
                wait
            }
            Ok(hand) => {
                let started = hand.started;
                match watch(&crew, hand).await {
                    Departure::Stopped => return,
                    Departure::Retired => Duration::ZERO,
                    Departure::Ended => {
                        if started.elapsed() >= STEADY {
                            restart.succeeded();
                        }
                        restart.failed(None)
                    }
                }
            }
        };
        tokio::select! {
            () = crew.drain.begun() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn start(crew: &Crew, index: usize) -> io::Result<Hand> {
    let name = if crew.spec.replicas.get() == 1 {
        crew.spec.actor.clone()
    } else {
        format!("{}.{index}", crew.spec.actor)
    };
    let socket = crew.next_socket();
    let process = Process::start(
        &crew.spec,
        &name,
        &socket,
        &crew.tools.spawner,
        &crew.tools.console,
        &crew.drain,
    )
    .await?;
    crew.noted(process.group())?;
    let (member, events) = crew.enlist(&socket);
    Ok(Hand {
        name,
        process,
        member,
        events,
        socket,
        started: Instant::now(),
    })
}

async fn watch(crew: &Arc<Crew>, mut hand: Hand) -> Departure {
    let mut ready = false;
    let mut slow = false;
    loop {
        tokio::select! {
            status = hand.process.ended() => {
                let how = status.map_or_else(|error| error.to_string(), in_words);
                let when = if ready { "" } else { " before it was ready" };
                warn!(actor = crew.spec.actor, replica = hand.name, "handler {how}{when}, starting it again");
                crew.dismiss(hand.member);
                leave(crew, hand).await;
                return Departure::Ended;
            }
            event = hand.events.recv() => match event {
                Some(Event::Ready(_)) if !ready => {
                    ready = true;
                    info!(actor = crew.spec.actor, replica = hand.name, pid = hand.process.group(),
                        after_ms = hand.started.elapsed().as_millis(), "handler ready");
                }
                Some(Event::TimedOut(_)) => {
                    warn!(actor = crew.spec.actor, replica = hand.name, pid = hand.process.group(),
                        "handler did not answer in time, a fresh one takes its place");
                    retire(crew, hand);
                    return Departure::Retired;
                }
                Some(Event::Ready(_) | Event::Lost(_)) => {}
                None => return Departure::Stopped,
            },
            () = tokio::time::sleep_until(hand.started + SLOW_START), if !ready && !slow => {
                slow = true;
                warn!(actor = crew.spec.actor, replica = hand.name, pid = hand.process.group(),
                    "handler is not ready after 30 s, still waiting: it has to bind $OUTRIGGER_HANDLER_SOCKET");
            }
            () = crew.drain.begun() => {
                crew.pool.retire(hand.member).await;
                leave(crew, hand).await;
                return Departure::Stopped;
            }
        }
    }
}

/// Lets a process that hangs go: no new work, stopped when its other exchanges have ended.
fn retire(crew: &Arc<Crew>, mut hand: Hand) {
    let crew = crew.clone();
    let drain = crew.drain.clone();
    drain.spawn("retire", async move {
        tokio::select! {
            () = crew.pool.retire(hand.member) => {}
            _ = hand.process.ended() => crew.dismiss(hand.member),
        }
        leave(&crew, hand).await;
    });
}

/// Stops what is left of a process and strikes it out everywhere.
async fn leave(crew: &Crew, hand: Hand) {
    let group = hand.process.group();
    if let Err(error) = hand.process.stop(crew.spec.stop_grace).await {
        warn!(actor = crew.spec.actor, replica = hand.name, %error, "handler's end was not seen");
    }
    crew.strike_out(group, hand.member);
    // The handler may have removed its socket itself.
    let _ = fs::remove_file(&hand.socket);
}
