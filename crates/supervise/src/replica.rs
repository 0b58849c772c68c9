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
    /// It ended by itself; since when it had taken work, if it had.
    Ended { ready: Option<Instant> },
    /// It may be working on what nobody waits for; it leaves in a task of its own.
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
///
/// Once no new work is taken in, one that has left is not replaced.
pub(crate) async fn keep(crew: Arc<Crew>, index: usize) {
    let mut restart = RESTART.steps();
    while !crew.intake.is_begun() {
        let pause = match start(&crew, index).await {
            Err(error) => {
                let wait = restart.failed(None);
                warn!(actor = crew.spec.actor, replica = index, %error, wait_ms = wait.as_millis(), "handler not started");
                wait
            }
            Ok(hand) => match watch(&crew, hand).await {
                Departure::Stopped => return,
                Departure::Retired => Duration::ZERO,
                Departure::Ended { ready } => {
                    if was_steady(ready) {
                        restart.succeeded();
                    }
                    restart.failed(None)
                }
            },
        };
        tokio::select! {
            () = crew.intake.begun() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One that hung for long before it was ready was no steadier than one that ended at once.
fn was_steady(ready: Option<Instant>) -> bool {
    ready.is_some_and(|ready| ready.elapsed() >= STEADY)
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
    let mut ready = None;
    let mut slow = false;
    loop {
        tokio::select! {
            status = hand.process.ended() => {
                let how = status.map_or_else(|error| error.to_string(), in_words);
                let when = if ready.is_some() { "" } else { " before it was ready" };
                let then = if crew.intake.is_begun() { "" } else { ", starting it again" };
                warn!(actor = crew.spec.actor, replica = hand.name, "handler {how}{when}{then}");
                leave(crew, hand, crew.drain.cut()).await;
                return Departure::Ended { ready };
            }
            event = hand.events.recv() => match event {
                Some(Event::Ready(_)) if ready.is_none() => {
                    ready = Some(Instant::now());
                    info!(actor = crew.spec.actor, replica = hand.name, pid = hand.process.group(),
                        after_ms = hand.started.elapsed().as_millis(), "handler ready");
                }
                Some(Event::TimedOut(_)) => {
                    let then = if crew.intake.is_begun() { "is stopped" } else { "is replaced by a fresh one" };
                    warn!(actor = crew.spec.actor, replica = hand.name, pid = hand.process.group(),
                        "handler did not answer in time and {then}");
                    retire(crew, hand);
                    return Departure::Retired;
                }
                Some(Event::Ready(_) | Event::Lost(_)) => {}
                None => return Departure::Stopped,
            },
            () = tokio::time::sleep_until(hand.started + SLOW_START), if ready.is_none() && !slow => {
                slow = true;
                warn!(actor = crew.spec.actor, replica = hand.name, pid = hand.process.group(),
                    "handler is not ready after 30 s, still waiting: it has to bind $OUTRIGGER_HANDLER_SOCKET");
            }
            () = crew.drain.begun() => {
                last_exchange(crew, &mut hand).await;
                leave(crew, hand, crew.drain.cut()).await;
                return Departure::Stopped;
            }
        }
    }
}

/// Lets a process go that may be working on what nobody waits for: stopped when its other exchanges have ended, and
/// killed at once where work in flight is cut off, for its messages are put back when it is gone.
fn retire(crew: &Arc<Crew>, mut hand: Hand) {
    let crew = crew.clone();
    let drain = crew.drain.clone();
    drain.spawn("retire", async move {
        last_exchange(&crew, &mut hand).await;
        leave(&crew, hand, crew.intake.cut()).await;
    });
}

/// Gives a process no more work, and waits until it has none left.
async fn last_exchange(crew: &Crew, hand: &mut Hand) {
    tokio::select! {
        () = crew.pool.retire(hand.member) => {}
        _ = hand.process.ended() => {}
        () = crew.drain.cut() => {}
    }
}

/// Stops what is left of a process, at once when `hurry` ends, and then strikes it out everywhere.
async fn leave(crew: &Crew, hand: Hand, hurry: impl Future<Output = ()>) {
    // It stays in the pool until its whole group is gone: that is what others wait for.
    drop(crew.pool.retire(hand.member));
    let group = hand.process.group();
    if let Err(error) = hand.process.stop(crew.spec.stop_grace, hurry).await {
        warn!(actor = crew.spec.actor, replica = hand.name, %error, "handler's end was not seen");
    }
    crew.strike_out(group, hand.member);
    // The handler may have removed its socket itself.
    let _ = fs::remove_file(&hand.socket);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_is_steady_by_the_time_it_took_work_not_by_the_time_it_was_there() {
        let ready = Instant::now();
        tokio::time::advance(STEADY.saturating_sub(Duration::from_millis(1))).await;
        assert!(!was_steady(Some(ready)) && !was_steady(None));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(was_steady(Some(ready)) && !was_steady(None));
    }
}
