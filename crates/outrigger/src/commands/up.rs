//! `outrigger up` and `outrigger run`: serve until a signal comes, then drain.

use std::{collections::BTreeMap, ffi::OsString, process::ExitCode, time::Duration};

use chassis::{
    config::{Loaded, mask_urls},
    lifecycle::{Drain, Outcome, signals},
};
use sd_notify::NotifyState;
use tracing::{info, warn};

use crate::{
    config::Root,
    exit::Code,
    wiring::{Mode, Options, Running},
};

/// After a second signal.
const HURRY: Duration = Duration::from_secs(10);
/// `run` leaves before Kubernetes does it for us: its own grace is 30 s.
const RUN_GRACE: Duration = Duration::from_secs(25);

/// When a handler of somebody else's that is not there is worth a word; our own have theirs from the supervisor.
const PATIENCE: Duration = Duration::from_secs(3);

/// Serves what the configuration declares until SIGTERM or SIGINT, then drains. `only` is the actor that
/// `OUTRIGGER_ACTOR` names.
///
/// Exit 0 when all that was in flight is settled, 75 when the grace ended first; what was cut off was put back.
pub async fn serve(
    loaded: &Loaded<Root>,
    mode: Mode,
    only: Option<String>,
    grace: Option<Duration>,
    environment: BTreeMap<OsString, OsString>,
) -> anyhow::Result<ExitCode> {
    let options = Options {
        mode,
        only,
        environment,
        observer: None,
    };
    let drain = Drain::new();
    let _signals = signals::follow(drain.clone(), HURRY)?;
    let running = tokio::select! {
        running = Running::start(loaded, options, &drain) => running?,
        () = drain.begun() => return Ok(ExitCode::SUCCESS),
    };
    // Without actors no queue is opened.
    let queue = (!running.actors().is_empty()).then(|| mask_urls(&loaded.value.queue));
    info!(
        queue = queue.as_deref(),
        actors = running.actors().join(","),
        admin = %running.admin(),
        "serving"
    );
    tokio::select! {
        () = ready(&running, loaded) => {
            info!("ready");
            tell_system(&[NotifyState::Ready]);
            drain.begun().await;
        }
        () = drain.begun() => {}
    }
    tell_system(&[NotifyState::Stopping]);
    let grace = match mode {
        Mode::Up => grace,
        Mode::Run => grace.or(Some(RUN_GRACE)),
    };
    match running.finish(grace).await {
        Outcome::Finished => {
            info!("all work in flight is settled");
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Cut => {
            warn!("the grace ended before the work did, it was put back");
            Ok(Code::Unfinished.into())
        }
    }
}

/// Tells systemd, where it started us and wants to know.
fn tell_system(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd cannot be told how we are");
    }
}

/// Waits until every actor takes messages, and says once whose handler others have yet to start.
async fn ready(running: &Running, loaded: &Loaded<Root>) {
    if tokio::time::timeout(PATIENCE, running.ready()).await.is_ok() {
        return;
    }
    for part in running.unready() {
        let actor = loaded.value.actors.get(&part.component);
        let Some(handler) = actor.map(|actor| &actor.handler) else {
            continue;
        };
        let name = &part.component;
        if let Some(socket) = &handler.socket {
            warn!(
                actor = name,
                socket = %socket.display(),
                "no handler yet, still waiting: somebody else has to start it on this socket"
            );
        } else if let Some(http) = &handler.http {
            warn!(
                actor = name,
                http, "no handler yet, still waiting: somebody else has to start it at this address"
            );
        }
    }
    running.ready().await;
}
