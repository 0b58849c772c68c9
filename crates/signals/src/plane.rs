//! The plane at work: listeners, the table of the moment, one task a backend.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use axum::Router;
use chassis::{
    lifecycle::{Component, Drain, Health, Outcome},
    telemetry::Metrics as Registry,
};
use tracing::{info, warn};

use crate::{
    admin,
    backends::{self, DeadLetters, Sink},
    batch::{Buffer, Limits, Runner},
    buffered::Buffered,
    config::{Backend, Rule, Signals},
    hub::{Hub, Outlet, Table},
    ingest::{Listener, Terms},
    metrics::Metrics,
    routing::Routes,
    traces::{TraceMetrics, Traces},
};

/// The telemetry plane of a process.
#[derive(Debug)]
pub struct Plane {
    hub: Arc<Hub>,
    health: Health,
    folder: PathBuf,
    /// Listeners and connections.
    intake: Drain,
    /// Backends.
    outlets: Drain,
    addresses: Vec<SocketAddr>,
    doors: Vec<(Door, Arc<ArcSwap<Terms>>)>,
    components: Mutex<Vec<(Arc<str>, Component)>>,
}

/// Where a listener is; that does not change while the process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Door {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// Why the plane cannot be as it is configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaneError {
    /// A listener cannot listen.
    #[error("cannot take signals on {address}")]
    Listen {
        /// Its address, or the path of its socket.
        address: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A listener's certificate is no good.
    #[error("{why}")]
    Certificate {
        /// What is wrong with which file.
        why: String,
    },
    /// A backend cannot be opened.
    #[error("backend `{backend}`: {why}")]
    Backend {
        /// Its name.
        backend: String,
        /// What is wrong.
        why: String,
    },
}

/// A backend that is ready to be started.
struct Prepared {
    outlet: Arc<Outlet>,
    sink: Box<dyn Sink>,
    dead_letters: Option<DeadLetters>,
}

impl Plane {
    /// Opens the backends, then the listeners; relative paths begin in `folder`.
    ///
    /// # Errors
    /// Nothing is left running then.
    ///
    /// # Cancellation
    /// What was started is closed again.
    pub async fn start(
        config: &Signals,
        folder: &Path,
        health: &Health,
        registry: &Registry,
    ) -> Result<Self, PlaneError> {
        let mut plane = Self {
            hub: Arc::new(Hub::new(
                Metrics::new(registry),
                Traces::new(TraceMetrics::new(registry)),
            )),
            health: health.clone(),
            folder: folder.to_owned(),
            intake: Drain::new(),
            outlets: Drain::new(),
            addresses: Vec::new(),
            doors: Vec::new(),
            components: Mutex::default(),
        };
        registry.collect(Box::new(Buffered::new(&plane.hub)));
        plane.set_table(config)?;
        let mut listeners = Vec::new();
        for (door, terms) in plane.terms(config)? {
            let terms = Arc::new(ArcSwap::from_pointee(terms));
            let listen = |source| PlaneError::Listen {
                address: door.to_string(),
                source,
            };
            let listener = match (&door, config.tcp()) {
                (Door::Tcp(..), Some(tcp)) => Listener::tcp(&tcp, Arc::clone(&terms)).await.map_err(listen)?,
                (Door::Unix(path), _) => Listener::unix(path, Arc::clone(&terms)).map_err(listen)?,
                (Door::Tcp(..), None) => unreachable!("a door is made of its configuration"),
            };
            plane.addresses.extend(listener.address());
            plane.doors.push((door, terms));
            listeners.push(listener);
        }
        for listener in listeners {
            let (hub, drain) = (Arc::clone(&plane.hub), plane.intake.clone());
            plane.intake.spawn("signal listener", listener.run(hub, drain));
        }
        let (hub, drain) = (Arc::clone(&plane.hub), plane.intake.clone());
        plane.intake.spawn("trace sweep", sweep(hub, drain));
        Ok(plane)
    }

    /// The TCP addresses that lines are taken on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// `GET /traces/{id}` and `GET /tail`, for the admin address.
    pub fn routes(&self) -> Router {
        admin::routes(Arc::clone(&self.hub))
    }

    /// Puts another configuration in the place of the one that is in use: all of it, or, where it cannot be used, nothing.
    /// Connections stay; what waits for a backend that changes goes where it was to go.
    ///
    /// # Errors
    /// Everything is as it was.
    pub fn reload(&self, config: &Signals) -> Result<(), PlaneError> {
        let terms = self.terms(config)?;
        self.set_table(config)?;
        let wanted: Vec<&Door> = terms.iter().map(|(door, _)| door).collect();
        let present: Vec<&Door> = self.doors.iter().map(|(door, _)| door).collect();
        if wanted != present {
            warn!("the addresses of listeners have changed: that counts from the next start on");
        }
        for (door, terms) in terms {
            if let Some((_, current)) = self.doors.iter().find(|(present, _)| *present == door) {
                current.store(Arc::new(terms));
            }
        }
        Ok(())
    }

    /// Stops listening, reads what was sent, and has every backend take what waits for it; what is left after `grace` is
    /// given up, and reported.
    pub async fn finish(&self, grace: Option<Duration>) -> Outcome {
        let until = grace.map(|grace| Instant::now() + grace);
        let taken = self.intake.wait(grace).await;
        self.hub.tail.close();
        // The last who held the outlets: their buffers close.
        self.hub.set_table(Table::empty());
        let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
        let delivered = self.outlets.wait(rest).await;
        if matches!((&taken, &delivered), (Outcome::Finished, Outcome::Finished)) {
            Outcome::Finished
        } else {
            Outcome::Cut
        }
    }

    /// The terms of every listener.
    fn terms(&self, config: &Signals) -> Result<Vec<(Door, Terms)>, PlaneError> {
        let mut all = Vec::new();
        if let Some(tcp) = config.tcp() {
            let terms = Terms::tcp(&tcp, &self.folder).map_err(|why| PlaneError::Certificate { why })?;
            all.push((Door::Tcp(tcp.host, tcp.port), terms));
        }
        if let Some(unix) = &config.unix {
            all.push((Door::Unix(self.folder.join(&unix.path)), Terms::unix(unix)));
        }
        Ok(all)
    }

    /// Makes a table of a configuration and puts it in place. Backends that stay as they are go on as they are.
    fn set_table(&self, config: &Signals) -> Result<(), PlaneError> {
        let before = self.hub.table();
        let mut outlets: Vec<Arc<Outlet>> = Vec::new();
        let mut new: Vec<Prepared> = Vec::new();
        let mut trouble = None;
        let mut find = |backend: &str, config_of: Backend| -> Option<usize> {
            let is = |outlet: &&Arc<Outlet>| {
                *outlet.name == *backend
                    && outlet.config == config_of
                    && outlet.buffer.limits() == limits(config, &config_of)
            };
            if let Some(index) = outlets.iter().position(|outlet| is(&outlet)) {
                return Some(index);
            }
            if let Some(outlet) = before.backends.iter().find(is) {
                outlets.push(Arc::clone(outlet));
            } else {
                match self.prepare(backend, config_of, config) {
                    Ok(prepared) => {
                        outlets.push(Arc::clone(&prepared.outlet));
                        new.push(prepared);
                    }
                    Err(error) => {
                        trouble.get_or_insert(error);
                        return None;
                    }
                }
            }
            Some(outlets.len() - 1)
        };
        let mut all = Vec::new();
        for (name, backend) in config.backends.iter().filter(|(_, backend)| backend.enabled) {
            all.extend(find(name, backend.clone()));
        }
        let routes = Routes::new(&config.routing, all, |rule: &Rule| {
            let backend = config.backends.get(&rule.backend).filter(|backend| backend.enabled)?;
            let own = backend.with(&rule.config).ok()?;
            find(&rule.backend, own)
        });
        if let Some(error) = trouble {
            return Err(error);
        }
        let memory = config.max_memory_mb as usize * (1 << 20);
        // The rest is for unfinished lines.
        self.hub.traces.set_bytes((memory / 8).min(MOST_OF_TRACES));
        self.hub.tail.set_bytes((memory / 16).min(MOST_OF_TAILS));
        let share = memory / 4 * 3 / outlets.len().max(1);
        for outlet in &outlets {
            outlet.buffer.set_bytes(share);
        }
        self.show(config, &outlets);
        for prepared in new {
            self.begin(prepared);
        }
        self.hub.set_table(Table {
            routes,
            backends: outlets,
        });
        Ok(())
    }

    fn prepare(&self, name: &str, backend: Backend, config: &Signals) -> Result<Prepared, PlaneError> {
        let limits = limits(config, &backend);
        let sink = backends::open(&backend.kind, limits.ripe, &self.folder).map_err(|why| PlaneError::Backend {
            backend: name.to_owned(),
            why,
        })?;
        let letters = backend.settings.dead_letter.as_ref();
        let dead_letters = letters.map(|path| DeadLetters::new(self.folder.join(path)));
        let buffer = Arc::new(Buffer::new(limits));
        let outlet = Arc::new(Outlet::new(name.into(), backend, buffer, &self.hub.metrics));
        Ok(Prepared {
            outlet,
            sink,
            dead_letters,
        })
    }

    fn begin(&self, prepared: Prepared) {
        let Prepared {
            outlet,
            sink,
            dead_letters,
        } = prepared;
        let components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        let known = components.iter().find(|(name, _)| *name == outlet.name);
        let health = known.map_or_else(
            || self.health.backend(&*outlet.name),
            |(_, component)| component.clone(),
        );
        drop(components);
        let runner = Runner {
            name: Arc::clone(&outlet.name),
            buffer: Arc::clone(&outlet.buffer),
            metrics: outlet.metrics.clone(),
            health,
            dead_letters,
        };
        let drain = self.outlets.clone();
        self.outlets.spawn("backend", async move {
            runner.run(sink, drain).await;
        });
    }

    /// Has `/health` show the backends of the configuration and no others.
    fn show(&self, config: &Signals, outlets: &[Arc<Outlet>]) {
        let mut components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        let (stay, go): (Vec<_>, Vec<_>) = std::mem::take(&mut *components)
            .into_iter()
            .partition(|(name, _)| config.backends.contains_key(&**name));
        for (name, component) in go {
            info!(
                backend = &*name,
                "a backend is no longer configured, it gets what waits for it"
            );
            component.remove();
        }
        *components = stay;
        for (name, backend) in &config.backends {
            let known = components.iter().find(|(known, _)| **known == **name);
            let component = known.map(|(_, component)| component.clone());
            let component = component.unwrap_or_else(|| {
                let component = self.health.backend(name.as_str());
                components.push((name.as_str().into(), component.clone()));
                component
            });
            if !backend.enabled {
                component.disabled("disabled in the configuration");
            } else if !outlets.iter().any(|outlet| *outlet.name == **name) {
                component.disabled("no rule names it");
            } else {
                component.ok();
            }
        }
    }
}

/// Forgets traces that are too old, also where no other comes.
async fn sweep(hub: Arc<Hub>, drain: Drain) {
    loop {
        tokio::select! {
            () = drain.begun() => return,
            () = tokio::time::sleep(SWEEP) => hub.traces.sweep(Instant::now()),
        }
    }
}

/// Between looks at traces that are too old.
const SWEEP: Duration = Duration::from_mins(1);
/// What traces may take, however much the plane may.
const MOST_OF_TRACES: usize = 64 << 20;
/// What may wait for all who watch, however much the plane may hold.
const MOST_OF_TAILS: usize = 32 << 20;

/// What may wait for a backend; its bytes are a share of the plane's.
fn limits(config: &Signals, backend: &Backend) -> Limits {
    let (all, own) = (&config.buffers, &backend.settings);
    Limits {
        lines: own.max_queue_size.unwrap_or(all.max_queue_size).get(),
        lines_of_source: all.per_source_buffer.get(),
        when_full: own.when_full,
        interval: own.flush_interval.unwrap_or(all.flush_interval).get(),
        ripe: own.flush_batch_size.unwrap_or(all.flush_batch_size).get(),
    }
}

impl std::fmt::Display for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}
