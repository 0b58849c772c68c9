//! One running process: started in one call, drained in another.

use std::{collections::BTreeMap, ffi::OsString, num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use chassis::{
    config::Loaded,
    lifecycle::{self, Drain, Health, Outcome},
    telemetry::{Metrics, traces::Tracer},
};
use messages::{Observer, Plane, Tracing};
use queues::{Queue, QueueSpec};
use supervise::{Console, Record, Style, Supervisor, clean_environment};
use wire::status::Unready;

use super::{
    actors::{self, Launch, Mode, Served},
    admin::{self, ActorView},
    python,
};
use crate::config::Root;

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
    admin: lifecycle::Running,
    _launch: Option<Launch>,
}

/// Processes are stopped within their own grace; this is for what comes after.
const PROCESSES_GRACE: Duration = Duration::from_secs(10);

impl Running {
    /// Opens the queue, declares what the configuration names, and starts every part. A signal begins `drain`.
    ///
    /// # Errors
    /// Nothing is left running then.
    ///
    /// # Cancellation
    /// What was started ends with `drain`.
    pub async fn start(loaded: &Loaded<Root>, options: Options, drain: Drain) -> anyhow::Result<Self> {
        let processes = Drain::new();
        let started = Self::assemble(loaded, options, &drain, &processes).await;
        if started.is_err() {
            drain.wait(Some(Duration::ZERO)).await;
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
        let queue = queues::open(&root.queue, &loaded.folder).await?;
        queue.declare(&queues_of(root)).await?;

        let (health, metrics) = (Health::new(), Metrics::with_process());
        let tracer = Tracer::from_environment(&texts(&options.environment), &metrics, processes);
        let plane = Plane::new(
            queue.clone(),
            &root.prefix,
            &root.ends,
            messages::Metrics::new(&metrics),
            options.observer,
            processes,
        )
        .traced(Tracing::new(tracer, &root.queue));
        let views = served.iter().map(|actor| view(root, actor)).collect();
        let admin = admin::start(root, health.clone(), metrics, messages.clone(), queue.clone(), views).await?;
        let starts = options.mode == Mode::Up && served.iter().any(|actor| actor.config.handler.socket.is_none());
        let launch = if starts {
            Some(launch(&records, &state, options.environment, messages, processes)?)
        } else {
            None
        };
        for actor in &served {
            actors::man(actor, loaded, launch.as_ref())?;
            let station = plane.station(
                actor.name,
                actor.config,
                actor.pool.clone(),
                health.component(actor.name),
            );
            messages.spawn("station", station.run(messages.clone()));
        }
        let actors = served.iter().map(|actor| actor.name.to_owned()).collect();
        Ok(Self {
            queue,
            health,
            messages: messages.clone(),
            processes: processes.clone(),
            actors,
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
        let outcome = self.messages.wait(grace).await;
        self.processes.begin();
        self.processes.wait(Some(PROCESSES_GRACE)).await;
        self.queue.close().await;
        self.admin.stop().await;
        outcome
    }
}

/// Every queue that the configuration declares: the actors' and both ends'.
pub fn queues_of(root: &Root) -> Vec<QueueSpec> {
    let name = |name: &str| -> Arc<str> { format!("{}{name}", root.prefix).into() };
    let ends = [
        (root.ends.happy_name(), root.ends.happy_retention()),
        (root.ends.error_name(), root.ends.error_retention()),
    ];
    let is_end = |actor: &str| ends.iter().any(|(end, _)| *end == actor);
    let actors = root
        .actors
        .keys()
        .filter(|actor| !is_end(actor))
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
        queue: format!("{}{}", root.prefix, actor.name),
        replicas: count(actor.config.replicas),
        concurrency: count(actor.config.concurrency.max(actor.config.replicas)),
        pool: actor.pool.clone(),
    }
}
