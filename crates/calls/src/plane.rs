//! The plane at work: its functions, the listeners, and the end of both.

use std::{collections::HashMap, io, net::SocketAddr, path::Path, sync::Arc};

use chassis::{
    lifecycle::{Component, Drain},
    telemetry::{Metrics, traces::Tracer},
};
use handlers::Pool;
use tracing::info;
use wire::{
    Input, Status,
    status::{Detail, State},
};

use crate::{
    About, Access, AccessError, Calls, FunctionHandler, Service,
    config::Address,
    front::Front,
    functions::{Registry, Source},
    http::CrossOrigin,
    ipc,
    listen::{ListenError, Listener},
    proxy::{Proxy, ProxyError, ProxyParts},
    telemetry::Telemetry,
};

/// The calls plane of a process; a cheap handle.
#[derive(Debug, Clone)]
pub struct Plane {
    registry: Registry,
    service: Service,
    front: Front,
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
    /// The actors that the process serves, by name.
    pub actors: HashMap<String, ActorSeat>,
    /// Where its figures go.
    pub metrics: &'p Metrics,
    /// Where its spans go.
    pub tracer: Tracer,
    /// What `/version` says.
    pub about: About,
    /// What the tasks of the proxy belong to.
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
        let seat = |name: &str| parts.actors.get(name).map(|seat| (seat.pool.clone(), seat.input));
        let sources = config.functions.declared().filter_map(|(_, function)| {
            // One whose actor is not served here has nobody who could do the work, or say what there is.
            let absent = |name: &str| function.name.is_some().then(|| (Pool::new(name), Input::Payload));
            Source::new(function, parts.folder, |name| seat(name).or_else(|| absent(name)))
        });
        let registry = Registry::new(sources.collect(), telemetry);
        let access = Access::new(config.auth.as_ref(), parts.folder).map_err(|source| PlaneError::Access { source })?;
        let cors = config.cors.as_ref().map(CrossOrigin::new);
        let service = Service::new(registry.clone(), access, cors, config.body_limit.bytes(), parts.about);
        let proxy = proxy(config, parts.folder, (parts.metrics, parts.tracer), parts.drain)?;
        let front = Front::new(service.clone(), &config.routes, proxy.as_ref());
        Ok(Self {
            registry,
            service,
            front,
        })
    }

    /// A function as an actor's handler: `name`, or `package/name`.
    pub fn handler(&self, function: &str) -> FunctionHandler {
        FunctionHandler::new(self.registry.clone(), function)
    }

    /// The functions over HTTP.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Binds every address, and serves until `drain` begins; `component` is ready when all functions are known. `runtime` is the
    /// folder for sockets of this user.
    ///
    /// # Errors
    /// Nothing listens then.
    ///
    /// # Cancellation
    /// What was bound is closed again.
    pub async fn listen(
        &self,
        config: &Calls,
        (folder, runtime): (&Path, Option<&Path>),
        component: Component,
        drain: &Drain,
    ) -> Result<Vec<SocketAddr>, PlaneError> {
        let (mut listeners, mut sockets) = (Vec::new(), Vec::new());
        let tls = config.tls(folder);
        for address in &config.listen {
            let trouble = |source| PlaneError::Listen {
                address: address.to_string(),
                source,
            };
            if let Some(address) = address.http(folder) {
                let listener = Listener::bind(&address, tls.as_ref()).await;
                listeners.push(listener.map_err(|source| PlaneError::Http { source })?);
            } else if let Address::Ipc(path) = address {
                let path = Address::ipc_path(path.as_deref(), folder, runtime);
                let limit = usize::try_from(config.body_limit.bytes()).unwrap_or(usize::MAX);
                let listener = ipc::Listener::new(&path, limit).map_err(trouble)?;
                sockets.push((path, listener));
            }
        }
        let addresses = listeners.iter().filter_map(Listener::local).collect();
        let front = Arc::new(self.front.clone());
        for listener in listeners {
            info!(address = %listener.address(), "taking calls");
            drain.spawn("calls listener", listener.run(Arc::clone(&front), drain.clone()));
        }
        for (path, listener) in sockets {
            info!(address = shown(&path), "taking calls");
            drain.spawn("ipc listener", listener.run(self.registry.clone(), drain.clone()));
        }
        drain.spawn("functions", self.registry.clone().follow(component, drain.clone()));
        Ok(addresses)
    }

    /// What the plane says of itself.
    pub fn status(&self) -> Status {
        let table = self.registry.table();
        let mut status = Status::new("calls", State::Ready);
        let function = |function: &crate::functions::Function| {
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
        status
    }
}

/// The way to the upstreams, where there are any.
fn proxy(
    config: &Calls,
    folder: &Path,
    (metrics, tracer): (&Metrics, Tracer),
    drain: &Drain,
) -> Result<Option<Proxy>, PlaneError> {
    if config.upstreams.is_empty() {
        return Ok(None);
    }
    let parts = ProxyParts {
        trusted: config.trusted_proxies.clone(),
        metrics: metrics.clone(),
        tracer,
        drain: drain.clone(),
    };
    let upstreams = config.upstreams.iter();
    let upstreams = upstreams.map(|(name, upstream)| (name.clone(), upstream.seen_from(folder)));
    let proxy = Proxy::new(&upstreams.collect(), parts).map_err(|source| PlaneError::Proxy { source })?;
    Ok(Some(proxy))
}

fn shown(path: &Path) -> String {
    format!("ipc://{}", path.display())
}
