//! The plane at work: listeners, the table of the moment, one task a backend.

use std::{
    collections::HashMap,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use axum::Router;
use chassis::{
    lifecycle::{Component, Drain, Health, Outcome},
    telemetry::{Metrics as Registry, ReportInbox},
};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::{
    admin,
    backends::{self, DeadLetters, Shelf, Sink, Surroundings},
    batch::{Buffer, Disk, Limits, Runner, disk},
    buffered::Buffered,
    config::{self, Backend, Rule, Signals, Storage},
    hub::{Hub, Outlet, Table},
    ingest::{Internal, Listener, OtherAddresses, Others, Terms},
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
    /// What backends show of themselves.
    shelf: Shelf,
    addresses: Vec<SocketAddr>,
    doors: Vec<(Door, Arc<ArcSwap<Terms>>)>,
    others: Others,
    /// How this process tells of itself.
    internal: watch::Sender<Option<config::Internal>>,
    components: Mutex<Vec<(Arc<str>, Component)>>,
    /// Disk buffers that somebody has; a backend that comes anew gets the one that its predecessor had.
    disks: Mutex<HashMap<PathBuf, Weak<Disk>>>,
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
    /// Opens the backends, then the listeners; relative paths begin in `folder`. What comes through `reports`, and the metrics
    /// of `registry`, are lines of this process where the configuration asks for them.
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
        reports: ReportInbox,
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
            shelf: Shelf::default(),
            addresses: Vec::new(),
            doors: Vec::new(),
            others: Others::default(),
            internal: watch::Sender::new(config.internal.clone()),
            components: Mutex::default(),
            disks: Mutex::default(),
        };
        registry.collect(Box::new(Buffered::new(&plane.hub)));
        plane.set_table(config)?;
        plane.tell_forgotten();
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
        let others = Others::bind(config).await;
        let others = others.map_err(|(address, source)| PlaneError::Listen { address, source })?;
        plane.others = others.start(&plane.hub, &plane.intake);
        for listener in listeners {
            let (hub, drain) = (Arc::clone(&plane.hub), plane.intake.clone());
            plane.intake.spawn("signal listener", listener.run(hub, drain));
        }
        let (hub, drain) = (Arc::clone(&plane.hub), plane.intake.clone());
        plane.intake.spawn("trace sweep", sweep(hub, drain));
        let internal = Internal::new(reports, registry, plane.internal.subscribe(), &plane.hub);
        plane
            .intake
            .spawn("signals of this process", internal.run(plane.intake.clone()));
        Ok(plane)
    }

    /// The TCP addresses that lines are taken on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What the admin server serves for the plane: `GET /traces/{id}`, `GET /tail`, and `GET /metrics/NAME` for backends of type
    /// `prometheus`.
    pub fn routes(&self) -> Router {
        self.shelf.routes().merge(admin::routes(Arc::clone(&self.hub)))
    }

    /// The addresses that other protocols are taken on.
    pub fn other_addresses(&self) -> OtherAddresses {
        self.others.addresses
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
        self.others.reload(config);
        self.internal.send_replace(config.internal.clone());
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
        let mut find = |backend: &str, config_of: Backend, own: &Map<String, Value>| -> Option<usize> {
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
                match self.prepare(backend, config_of, own, config) {
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
            all.extend(find(name, backend.clone(), &Map::new()));
        }
        let routes = Routes::new(&config.routing, all, |rule: &Rule| {
            let backend = config.backends.get(&rule.backend).filter(|backend| backend.enabled)?;
            let own = backend.with(&rule.config).ok()?;
            find(&rule.backend, own, &rule.config)
        });
        if let Some(error) = trouble {
            return Err(error);
        }
        let memory = config.max_memory_mb as usize * (1 << 20);
        // Of 32 parts: 19 for what waits for backends, 4 for traces, 4 for unfinished lines, 4 for lines on their way to
        // backends, 1 for those who watch.
        self.hub.traces.set_bytes((memory / 8).min(MOST_OF_TRACES));
        self.hub.tail.set_bytes((memory / 32).min(MOST_OF_TAILS));
        let share = memory / 32 * 19 / outlets.len().max(1);
        for outlet in &outlets {
            outlet.buffer.set_bytes(share);
        }
        self.hub.begun.set_most(memory / 8);
        self.hub.in_hand.set_most(memory / 8);
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

    /// Makes a backend; `own` are the settings that a rule lays over the backend's.
    fn prepare(
        &self,
        name: &str,
        backend: Backend,
        own: &Map<String, Value>,
        config: &Signals,
    ) -> Result<Prepared, PlaneError> {
        let limits = limits(config, &backend);
        let place = Surroundings {
            name,
            lines: limits.ripe,
            folder: &self.folder,
            shelf: &self.shelf,
            drain: &self.outlets,
        };
        let trouble = |why| PlaneError::Backend {
            backend: name.to_owned(),
            why,
        };
        let sink = backends::open(&backend.kind, &place).map_err(trouble)?;
        let letters = backend.settings.dead_letter.as_ref();
        let dead_letters = letters.map(|path| DeadLetters::new(self.folder.join(path)));
        let buffer = Arc::new(if limits.disk.is_some() {
            let own = (!own.is_empty()).then(|| Value::Object(own.clone()).to_string());
            let path = disk::path(&self.folder, name, own.as_deref());
            Buffer::on_disk(limits, self.disk(path).map_err(trouble)?)
        } else {
            Buffer::new(limits)
        });
        let outlet = Arc::new(Outlet::new(name.into(), backend, buffer, &self.hub.metrics));
        Ok(Prepared {
            outlet,
            sink,
            dead_letters,
        })
    }

    /// The disk buffer in a file: the one that is open, if any is. Lines go on into it meanwhile, and whoever delivers them
    /// now goes on until [`Buffer::take_over`], so that none is lost or comes twice.
    fn disk(&self, path: PathBuf) -> Result<Arc<Disk>, String> {
        let mut disks = self.disks.lock().unwrap_or_else(PoisonError::into_inner);
        disks.retain(|_, disk| disk.strong_count() > 0);
        if let Some(disk) = disks.get(&path).and_then(Weak::upgrade) {
            return Ok(disk);
        }
        let disk = Disk::open(&path, &self.hub.metrics, self.outlets.hold())?;
        disks.insert(path, Arc::downgrade(&disk));
        Ok(disk)
    }

    /// Says where lines wait that no backend will get.
    fn tell_forgotten(&self) {
        let disks = self.disks.lock().unwrap_or_else(PoisonError::into_inner);
        let used: Vec<PathBuf> = disks.keys().cloned().collect();
        drop(disks);
        for (file, lines) in disk::forgotten(&self.folder, &used) {
            let file = file.display();
            warn!(%file, lines, "lines wait on disk for a backend that is configured no more: configure it as it was, or remove the file");
        }
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
        runner.buffer.take_over();
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
    let disk = match own.buffer {
        Storage::Memory {} => None,
        Storage::Disk { max_bytes } => Some(max_bytes.len()),
    };
    let lines = own.max_queue_size.or(disk.is_none().then_some(all.max_queue_size));
    Limits {
        lines: lines.map_or(usize::MAX, NonZeroUsize::get),
        disk,
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
