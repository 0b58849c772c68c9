//! The plane at work: its functions, the listeners, and the end of both.

mod change;
mod door;
mod listeners;

pub use change::Change;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicUsize},
};

use arc_swap::ArcSwap;
use chassis::{
    lifecycle::{Component, Drain},
    telemetry::{Metrics, traces::Tracer},
};
use handlers::Pool;
use tokio::sync::Mutex;
use wire::{
    Input, Status,
    status::{Detail, State},
};

use self::{
    door::Door,
    listeners::{Folders, Listeners, Receivers},
};
use crate::{
    About, Access, AccessError, Calls, FunctionHandler, Service,
    access_log::AccessLog,
    front::Front,
    functions::{Catalog, Function, Registry, Source},
    http::CrossOrigin,
    listen::ListenError,
    proxy::{Proxy, ProxyError, ProxyParts},
    telemetry::Telemetry,
};

/// The calls plane of a process; a cheap handle.
#[derive(Debug, Clone)]
pub struct Plane {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    receivers: Receivers,
    proxy: ArcSwap<Proxy>,
    listeners: Arc<Mutex<Listeners>>,
    actors: HashMap<String, ActorSeat>,
    about: About,
    folders: Folders,
    drain: Drain,
}

/// An actor of the process, as functions call it.
#[derive(Debug, Clone)]
pub struct ActorSeat {
    /// Its handlers.
    pub pool: Pool,
    /// What they are given.
    pub input: Input,
}

/// What the plane has from the process that it is in.
#[derive(Debug)]
pub struct Parts<'p> {
    /// Where relative paths begin.
    pub folder: &'p Path,
    /// The folder for sockets of this user, where there is one.
    pub runtime: Option<&'p Path>,
    /// The actors that the process serves, by name.
    pub actors: HashMap<String, ActorSeat>,
    /// Where its figures go.
    pub metrics: &'p Metrics,
    /// Where its spans go.
    pub tracer: Tracer,
    /// What `/version` says.
    pub about: About,
    /// What its tasks belong to.
    pub drain: &'p Drain,
}

/// Why the plane cannot be as it is configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaneError {
    /// A listener cannot listen.
    #[error("cannot take calls on {address}")]
    Listen {
        /// The address.
        address: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// An address that listens is to have other files for its certificate.
    #[error("`{address}` listens already, with other files for its certificate")]
    Certificate {
        /// The address.
        address: String,
    },
    /// A folder of functions has one that nobody can run.
    #[error("there is no compiler in this build for {}", file.display())]
    Uncompiled {
        /// The file.
        file: PathBuf,
    },
    /// An upstream cannot be reached as it is configured.
    #[error("cannot pass calls on")]
    Proxy {
        /// Which one, and why.
        #[source]
        source: ProxyError,
    },
    /// Nobody could be let in.
    #[error("cannot tell who may call")]
    Access {
        /// What is wrong with the token.
        #[source]
        source: AccessError,
    },
    /// A listener for HTTP cannot listen.
    #[error("cannot take calls over HTTP")]
    Http {
        /// On which address, and why.
        #[source]
        source: ListenError,
    },
}

impl Plane {
    /// The functions and upstreams of a configuration; nothing is asked and nothing listens yet.
    pub fn new(config: &Calls, parts: Parts<'_>) -> Result<Self, PlaneError> {
        let telemetry = Telemetry::new(parts.metrics, parts.tracer.clone());
        let folders = Folders::new(parts.folder, parts.runtime);
        let registry = Registry::new(
            catalog(config, &folders, &parts.actors)?,
            telemetry,
            AccessLog::new(config.access_log),
        );
        let proxy = ProxyParts {
            trusted: config.trusted_proxies.clone(),
            metrics: parts.metrics.clone(),
            tracer: parts.tracer,
            drain: parts.drain.clone(),
        };
        let upstreams = upstreams(config, &folders);
        let proxy = Proxy::new(&upstreams, proxy).map_err(|source| PlaneError::Proxy { source })?;
        let front = front(config, &folders, (&registry, &proxy), &parts.about)?;
        let receivers = Receivers {
            door: Arc::new(Door::new(front)),
            registry,
            limit: Arc::new(AtomicUsize::new(0)),
        };
        receivers.limit(config);
        Ok(Self {
            shared: Arc::new(Shared {
                receivers,
                proxy: ArcSwap::from_pointee(proxy),
                listeners: Arc::new(Mutex::new(Listeners::new(config.clone()))),
                actors: parts.actors,
                about: parts.about,
                folders,
                drain: parts.drain.clone(),
            }),
        })
    }

    /// A function as an actor's handler: `name`, or `package/name`.
    pub fn handler(&self, function: &str) -> FunctionHandler {
        FunctionHandler::new(self.shared.receivers.registry.clone(), function)
    }

    /// Binds every address, and serves until the drain begins; `component` is ready when all functions are known.
    ///
    /// # Errors
    /// Nothing listens then.
    ///
    /// # Cancellation
    /// What was bound is closed again.
    pub async fn listen(&self, component: Component) -> Result<Vec<SocketAddr>, PlaneError> {
        let shared = &*self.shared;
        let mut listeners = shared.listeners.lock().await;
        let wanted = listeners.bind(listeners.config(), &shared.folders).await?;
        let addresses = listeners.open(wanted, &shared.receivers, &shared.drain);
        let registry = shared.receivers.registry.clone();
        shared
            .drain
            .spawn("functions", registry.follow(component, shared.drain.clone()));
        Ok(addresses)
    }

    /// What the plane says of itself.
    pub fn status(&self) -> Status {
        let table = self.shared.receivers.registry.table();
        let mut status = Status::new("calls", State::Ready);
        let function = |function: &Function| {
            Detail::Other(serde_json::json!({
                "kind": "function",
                "package": function.package,
                "name": function.name,
                "path": function.path,
                "busy": function.busy(),
                "concurrency": function.concurrency(),
            }))
        };
        status.details = table.functions().map(function).collect();
        let proxy = self.shared.proxy.load();
        status.details.extend(proxy.status().map(Detail::Other));
        status
    }
}

/// Where the functions of a configuration come from.
fn catalog(config: &Calls, folders: &Folders, actors: &HashMap<String, ActorSeat>) -> Result<Catalog, PlaneError> {
    let seat = |name: &str| actors.get(name).map(|seat| (seat.pool.clone(), seat.input));
    let declared = config.functions.declared().filter_map(|(_, function)| {
        // One whose actor is not served here has nobody who could do the work, or say what there is.
        let absent = |name: &str| function.name.is_some().then(|| (Pool::new(name), Input::Payload));
        Source::new(function, &folders.config, |name| seat(name).or_else(|| absent(name)))
    });
    let within = |folder: &PathBuf| folders.config.join(folder);
    let catalog = Catalog {
        declared: declared.map(Arc::new).collect(),
        folders: config.functions.folders().map(within).collect(),
    };
    match catalog.uncompiled() {
        Some(file) => Err(PlaneError::Uncompiled { file }),
        None => Ok(catalog),
    }
}

/// The upstreams of a configuration, with the paths of their sockets as they are.
fn upstreams(config: &Calls, folders: &Folders) -> BTreeMap<String, crate::config::Upstream> {
    let upstreams = config.upstreams.iter();
    upstreams
        .map(|(name, upstream)| (name.clone(), upstream.seen_from(&folders.config)))
        .collect()
}

/// Who answers, by the words of a configuration.
fn front(
    config: &Calls,
    folders: &Folders,
    (registry, proxy): (&Registry, &Proxy),
    about: &About,
) -> Result<Front, PlaneError> {
    let access = Access::new(config.auth.as_ref(), &folders.config).map_err(|source| PlaneError::Access { source })?;
    let cors = config.cors.as_ref().map(CrossOrigin::new);
    let service = Service::new(registry.clone(), access, cors, config.body_limit.bytes(), about.clone());
    Ok(Front::new(service, &config.routes, proxy))
}
