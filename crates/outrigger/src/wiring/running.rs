//! One running process: started in one call, drained in another.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    num::NonZeroUsize,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use axum::Router;
use chassis::{
    config::Loaded,
    guard::Backoff,
    lifecycle::{self, Drain, Health, Outcome},
    telemetry::{Metrics, ReportInbox, Reports, in_full, traces::Tracer},
};
use messages::{Observer, Plane, Tracing};
use queues::{Queue, QueueError, QueueSpec};
use signals::Signals;
use supervise::{Console, Record, Style, Supervisor, clean_environment};
use tracing::{info, warn};
use wire::status::Unready;

use super::{
    actors::{self, Launch, Mode, Served},
    admin::{self, ActorView},
    functions, python,
    reload::{Planes, Reloader},
};
use crate::{config::Root, open};

/// How a process is to run.
#[derive(Debug)]
pub struct Options {
    /// With or without handler processes.
    pub mode: Mode,
    /// Serve this actor alone.
    pub only: Option<String>,
    /// The environment that we were started with.
    pub environment: BTreeMap<OsString, OsString>,
    /// Is told of every hop.
    pub observer: Option<Arc<dyn Observer>>,
}

/// A process at work.
#[derive(Debug)]
pub struct Running {
    queue: Arc<dyn Queue>,
    health: Health,
    messages: Drain,
    processes: Drain,
    /// The actors that are served.
    actors: Vec<String>,
    signals: Option<Arc<signals::Plane>>,
    admin: lifecycle::Running,
    _launch: Option<Launch>,
}

/// Processes are stopped within their own grace; this is for what comes after.
const PROCESSES_GRACE: Duration = Duration::from_secs(10);
/// Between tries while the broker is away.
const AWAY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));

impl Running {
    /// Opens the queue, declares what the configuration names, and starts every part. A signal begins `drain`.
    ///
    /// # Errors
    /// Nothing is left running then.
    ///
    /// # Cancellation
    /// What was started ends with `drain`.
    pub async fn start(loaded: &Loaded<Root>, options: Options, drain: &Drain) -> anyhow::Result<Self> {
        // One of its own, so that ending what was begun is not taken for somebody's wish to end.
        let (messages, processes) = (drain.child(), Drain::new());
        let started = Self::assemble(loaded, options, &messages, &processes).await;
        if started.is_err() {
            messages.wait(Some(Duration::ZERO)).await;
            processes.wait(Some(PROCESSES_GRACE)).await;
        }
        started
    }

    async fn assemble(
        loaded: &Loaded<Root>,
        options: Options,
        messages: &Drain,
        processes: &Drain,
    ) -> anyhow::Result<Self> {
        let root = &loaded.value;
        let served = actors::serve(root, options.mode, options.only.as_deref())?;
        let state = loaded.folder.join(".outrigger");
        let records = state.join("run");
        if options.mode == Mode::Up {
            Record::clear_leftovers(&records).await;
        }
        // Without actors there is nothing to wait in a queue.
        let queue = if served.is_empty() {
            queues::open("memory:", &loaded.folder).await?
        } else {
            open::queue(loaded).await?
        };
        let is_broker = open::is_broker(root) && !served.is_empty();
        if !is_broker {
            queue.declare(&queues_of(root)).await?;
        }

        let (health, metrics) = (Health::new(), Metrics::with_process());
        let tracer = Tracer::from_environment(&texts(&options.environment), &metrics, processes);
        let (reports, inbox) = Reports::new(&metrics);
        let tracer = tracer.reporting_to(reports);
        let environment = texts(&options.environment);
        let calls = match &root.calls {
            Some(config) => Some(functions::plane(
                config,
                loaded,
                &served,
                &environment,
                (&metrics, tracer.clone(), messages),
            )?),
            None => None,
        };
        let plane = Plane::new(
            queue.clone(),
            &root.prefix,
            &root.ends,
            messages::Metrics::new(&metrics),
            options.observer,
            processes,
        )
        .traced(Tracing::new(tracer, &root.queue));
        let named = root
            .actors
            .iter()
            .filter_map(|(name, config)| Some((name, config.queue.as_ref()?)));
        let plane = named.fold(plane, |plane, (name, queue)| plane.with_queue(name, queue));
        let views = served.iter().map(|actor| view(root, actor)).collect();
        let signals = match root.signals() {
            Some(config) => Some(start_signals(&config, loaded, &health, &metrics, inbox).await?),
            None => None,
        };
        let mut routes = Router::new();
        if signals.is_some() || calls.is_some() {
            let planes = Planes {
                signals: signals.clone(),
                calls: calls.clone(),
            };
            let reloader = Reloader::new(loaded, environment, planes, health.clone());
            reloader.follow(messages)?;
            routes = reloader.routes();
        }
        if let Some(plane) = &signals {
            routes = routes.merge(plane.routes());
        }
        let parts = (health.clone(), metrics, messages.clone(), queue.clone());
        let admin = admin::start(root, parts, views, calls.clone(), routes).await?;
        if is_broker {
            declare(&*queue, root, &health).await?;
        }
        let starts = options.mode == Mode::Up && served.iter().any(|actor| !actor.config.handler.is_foreign());
        let launch = if starts {
            Some(launch(&records, &state, options.environment, messages, processes)?)
        } else {
            None
        };
        for actor in &served {
            actors::man(actor, loaded, launch.as_ref(), calls.as_ref())?;
            let station = plane.station(
                actor.name,
                actor.config,
                actor.pool.clone(),
                health.component(actor.name),
            );
            messages.spawn("station", station.run(messages.clone()));
        }
        if let Some(plane) = &calls {
            plane.listen(health.component("calls")).await?;
        }
        let actors = served.iter().map(|actor| actor.name.to_owned()).collect();
        Ok(Self {
            queue,
            health,
            messages: messages.clone(),
            processes: processes.clone(),
            actors,
            signals,
            admin,
            _launch: launch,
        })
    }

    /// The queue that it works on.
    pub fn queue(&self) -> &Arc<dyn Queue> {
        &self.queue
    }

    /// The actors that are served.
    pub fn actors(&self) -> &[String] {
        &self.actors
    }

    /// Where the admin server listens.
    pub fn admin(&self) -> std::net::SocketAddr {
        self.admin.address()
    }

    /// Waits until every actor takes messages.
    pub async fn ready(&self) {
        self.health.ready().await;
    }

    /// Every actor that takes no messages yet, and why.
    pub fn unready(&self) -> Vec<Unready> {
        self.health.readiness().reasons
    }

    /// Drains and stops everything, in order: intake, work in flight, handler processes, the queue, the admin server.
    pub async fn finish(self, grace: Option<Duration>) -> Outcome {
        let until = grace.map(|grace| Instant::now() + grace);
        let mut outcome = self.messages.wait(grace).await;
        self.processes.begin();
        self.processes.wait(Some(PROCESSES_GRACE)).await;
        self.queue.close().await;
        if let Some(signals) = self.signals {
            // Last of the planes, as the others speak through it.
            let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
            if signals.finish(rest).await == Outcome::Cut {
                outcome = Outcome::Cut;
            }
        }
        self.admin.stop().await;
        outcome
    }
}

async fn start_signals(
    config: &Signals,
    loaded: &Loaded<Root>,
    health: &Health,
    metrics: &Metrics,
    reports: ReportInbox,
) -> anyhow::Result<Arc<signals::Plane>> {
    let plane = signals::Plane::start(config, &loaded.folder, health, metrics, reports).await?;
    for address in plane.addresses() {
        info!(%address, "taking signals");
    }
    if let Some(unix) = &config.unix {
        info!(socket = %loaded.folder.join(&unix.path).display(), "taking signals");
    }
    Ok(Arc::new(plane))
}

/// Declares what the configuration names, on a broker that may be away for now: it is waited for, and `/readyz` says so.
async fn declare(queue: &dyn Queue, root: &Root, health: &Health) -> Result<(), QueueError> {
    let component = health.component("queue");
    let mut steps = AWAY.steps();
    loop {
        match queue.declare(&queues_of(root)).await {
            Err(error) if error.is_transient() => {
                let wait = steps.failed(None);
                component.not_ready(error.to_string());
                warn!(
                    error = in_full(&error),
                    wait_ms = wait.as_millis(),
                    "the broker is not available, waiting for it"
                );
                tokio::time::sleep(wait).await;
            }
            declared => {
                component.remove();
                return declared;
            }
        }
    }
}

/// Every queue that the configuration declares: the actors' and both ends'.
pub fn queues_of(root: &Root) -> Vec<QueueSpec> {
    let name = |name: &str| -> Arc<str> { root.queue_of(name).into() };
    let ends = [
        (root.ends.happy_name(), root.ends.happy_retention()),
        (root.ends.error_name(), root.ends.error_retention()),
    ];
    let actors = root
        .actors
        .keys()
        .filter(|actor| !root.is_end(actor))
        .map(|actor| QueueSpec::new(name(actor)));
    let ends = ends.iter().map(|(end, retention)| QueueSpec {
        name: name(end),
        retention: Some(*retention),
    });
    actors.chain(ends).collect()
}

/// What is needed to start handler processes.
fn launch(
    records: &Path,
    state: &Path,
    environment: BTreeMap<OsString, OsString>,
    messages: &Drain,
    processes: &Drain,
) -> anyhow::Result<Launch> {
    let launcher = std::env::current_exe().context("cannot find our own binary to start handlers with")?;
    let console = Console::new(Style::detect(crate::terminal::no_color())).context("cannot start a thread")?;
    let python = python::unpack(state)
        .inspect_err(|error| tracing::warn!(%error, folder = %state.display(), "Python runtime not unpacked"));
    Ok(Launch {
        supervisor: Supervisor::new(records, &launcher, console, messages.clone(), processes.clone())?,
        environment: clean_environment(environment),
        python: python.ok(),
    })
}

/// The environment as text; what is not Unicode in it is replaced.
fn texts(environment: &BTreeMap<OsString, OsString>) -> BTreeMap<String, String> {
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    environment
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

fn view(root: &Root, actor: &Served<'_>) -> ActorView {
    let count = |number: NonZeroUsize| u32::try_from(number.get()).unwrap_or(u32::MAX);
    ActorView {
        name: actor.name.to_owned(),
        queue: root.queue_of(actor.name),
        replicas: count(actor.config.replicas),
        concurrency: count(actor.config.concurrency.max(actor.config.replicas)),
        pool: actor.pool.clone(),
    }
}
