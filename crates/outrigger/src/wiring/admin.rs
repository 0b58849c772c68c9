//! What the process says of itself on the admin address.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use chassis::{
    lifecycle::{Admin, AdminError, Drain, Health, Running},
    telemetry::Metrics,
};
use handlers::Pool;
use queues::{Queue, QueueStats};
use wire::{
    Status,
    status::{ActorStatus, Detail, QueueStatus, State},
};

use crate::config::Root;

/// What `/health` says of one actor, read anew at each request.
#[derive(Debug, Clone)]
pub struct ActorView {
    pub name: String,
    pub queue: String,
    pub replicas: u32,
    pub concurrency: u32,
    pub pool: Pool,
}

/// Starts the admin server. An address of our own choice that is taken is replaced by a free one, with a word; one
/// that the configuration names is an error.
pub async fn start(
    root: &Root,
    (health, metrics, drain, queue): (Health, Metrics, Drain, Arc<dyn Queue>),
    actors: Vec<ActorView>,
    calls: Option<calls::Plane>,
    routes: Router,
) -> anyhow::Result<Running> {
    let build = || {
        let (queue, actors) = (queue.clone(), actors.clone());
        let admin = Admin::new(
            env!("CARGO_PKG_VERSION"),
            health.clone(),
            metrics.clone(),
            drain.clone(),
        )
        .plane("messages", move || describe(queue.clone(), actors.clone()))
        .routes(routes.clone());
        match calls.clone() {
            Some(calls) => admin.plane("calls", move || std::future::ready(calls.status())),
            None => admin,
        }
    };
    let (address, is_chosen) = root.admin_address();
    match build().start(&address).await {
        Err(AdminError::InUse { address, .. }) if !is_chosen => {
            tracing::warn!(
                address,
                "admin address is taken, using a free port: set `admin.listen` to choose one"
            );
            build()
                .start("127.0.0.1:0")
                .await
                .context("cannot start the admin server")
        }
        started => started.context("cannot start the admin server"),
    }
}

async fn describe(queue: Arc<dyn Queue>, actors: Vec<ActorView>) -> Status {
    let all_live = actors.iter().all(|actor| actor.pool.slots() > 0);
    let mut status = Status::new("messages", if all_live { State::Ready } else { State::Degraded });
    status.details = actors.iter().map(|actor| Detail::Actor(actor.describe())).collect();
    match queue.stats().await {
        Ok(queues) => status.details.extend(queues.iter().map(queue_status)),
        Err(error) => status = status.reason(error.to_string()),
    }
    status
}

fn queue_status(queue: &QueueStats) -> Detail {
    Detail::Queue(QueueStatus {
        name: queue.name.to_string(),
        depth: queue.depth,
        in_flight: queue.in_flight,
        oldest_s: queue.oldest.map(|oldest| oldest.as_secs_f64()),
    })
}

impl ActorView {
    fn describe(&self) -> ActorStatus {
        let live = self.pool.slots() > 0;
        ActorStatus {
            name: self.name.clone(),
            queue: self.queue.clone(),
            replicas: self.replicas,
            concurrency: self.concurrency,
            busy: u32::try_from(self.pool.busy()).unwrap_or(u32::MAX),
            ready: live,
            reason: (!live).then(|| "no handler is alive".to_owned()),
        }
    }
}
