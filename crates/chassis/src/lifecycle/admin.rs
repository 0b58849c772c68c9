//! The admin address: is the process alive, is it ready, how does it do, what has it counted.
//!
//! The one rule: it answers until the very end. It is no task of the drain, so that it can say "shutting down" while
//! the drain waits for everything else; its owner stops it last.

use std::{collections::BTreeMap, fmt, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{
    net::TcpListener,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use wire::{
    Problem, Status,
    status::{Overall, Readiness, Report, State as PlaneState, Unready},
};

use super::{Drain, Health, Task, task};
use crate::telemetry::{Exposition, Metrics};

/// The admin server before it is bound.
pub struct Admin {
    shared: Shared,
    routes: Router,
}

impl Admin {
    /// A server for `/healthz`, `/readyz`, `/health` and `/metrics`; `version` is the program's.
    ///
    /// It watches `drain` to answer `/readyz`, and does not end with it.
    pub fn new(version: impl Into<String>, health: Health, metrics: Metrics, drain: Drain) -> Self {
        Self {
            shared: Shared {
                version: version.into(),
                started: Instant::now(),
                health,
                metrics,
                drain,
                planes: BTreeMap::new(),
            },
            routes: Router::new(),
        }
    }

    /// Adds what a plane says of itself to `/health`; `name` stands there as the plane's name.
    pub fn plane(mut self, name: impl Into<String>, plane: impl Plane) -> Self {
        self.shared.planes.insert(name.into(), Box::new(plane));
        self
    }

    /// Adds a plane's own routes, like `/config` or `/tail`.
    ///
    /// # Panics
    /// When one of them is taken.
    pub fn routes(mut self, routes: Router) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Binds `listen` (`host:port`; port 0 takes a free one) and serves from then on.
    ///
    /// # Errors
    /// [`AdminError`], which names the address.
    ///
    /// # Cancellation
    /// Dropping the future binds nothing, or gives it up again.
    pub async fn start(self, listen: &str) -> Result<Running, AdminError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => AdminError::InUse {
                address: listen.to_owned(),
                source,
            },
            _ => AdminError::Bind {
                address: listen.to_owned(),
                source,
            },
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let app = self.into_router();
        let task = task::spawn("admin".into(), async move {
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stopped).await {
                warn!(%error, "admin server ended");
            }
        });
        info!(%address, "admin server listening");
        Ok(Running { address, stop, task })
    }

    fn into_router(self) -> Router {
        Router::new()
            .route("/healthz", get(async || "alive\n"))
            .route("/readyz", get(readyz))
            .route("/health", get(health))
            .route("/metrics", get(metrics))
            .with_state(Arc::new(self.shared))
            .merge(self.routes)
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("planes", &self.shared.planes.keys())
            .finish_non_exhaustive()
    }
}

/// A plane that says how it does; any `Fn() -> impl Future<Output = Status>` is one.
pub trait Plane: Send + Sync + 'static {
    /// How the plane does now. Asked at each `/health`, and left out of it when it takes longer than a second.
    ///
    /// # Cancellation
    /// The future may be dropped at any await.
    fn status(&self) -> StatusFuture<'_>;
}

impl<F, Fut> Plane for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Status> + Send + 'static,
{
    fn status(&self) -> StatusFuture<'_> {
        Box::pin(self())
    }
}

/// What [`Plane::status`] returns.
pub type StatusFuture<'a> = Pin<Box<dyn Future<Output = Status> + Send + 'a>>;

/// The admin server at work. It goes on when this is dropped, until the runtime ends.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: Task<()>,
}

impl Running {
    /// Where it listens, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it: answers that are on their way have a second.
    ///
    /// # Cancellation
    /// Dropping the future leaves it stopping.
    pub async fn stop(self) {
        self.stop.cancel();
        // Whatever is still being answered after that ends with the runtime.
        let _ = tokio::time::timeout(LAST_ANSWERS, self.task.join()).await;
    }
}

/// Why the admin address does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Somebody else listens there.
    #[error("admin address {address} is in use: stop what listens there, or set `admin.listen` to another")]
    InUse {
        /// As it was given.
        address: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// It is no address of this machine, or may not be used.
    #[error("cannot listen on the admin address {address}")]
    Bind {
        /// As it was given.
        address: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

struct Shared {
    version: String,
    started: Instant,
    health: Health,
    metrics: Metrics,
    drain: Drain,
    planes: BTreeMap<String, Box<dyn Plane>>,
}

impl Shared {
    fn readiness(&self) -> Readiness {
        let mut readiness = self.health.readiness();
        if self.drain.is_begun() {
            readiness.ready = false;
            readiness.reasons.push(Unready {
                component: "drain".to_owned(),
                reason: "shutting down".to_owned(),
            });
        }
        readiness
    }

    /// Every plane's own word, or what its silence says. All planes together have a second.
    async fn planes(&self) -> Vec<Status> {
        let deadline = Instant::now() + PLANE_PATIENCE;
        let mut asked = Vec::with_capacity(self.planes.len());
        for (name, plane) in &self.planes {
            let status = timeout_at(deadline, plane.status()).await;
            let mut status = status.unwrap_or_else(|_| {
                Status::new(name, PlaneState::Failing).reason(format!("no answer within {PLANE_PATIENCE:?}"))
            });
            status.name.clone_from(name);
            asked.push(status);
        }
        asked
    }
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let readiness = shared.readiness();
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness)).into_response()
}

async fn health(State(shared): State<Arc<Shared>>) -> Json<Report> {
    let planes = shared.planes().await;
    let conditions = shared.health.conditions();
    let sick = |plane: &Status| matches!(plane.state, PlaneState::Failing | PlaneState::Degraded);
    Json(Report {
        status: if planes.iter().any(sick) {
            Overall::Degraded
        } else {
            conditions.overall
        },
        version: shared.version.clone(),
        uptime: shared.started.elapsed().as_secs(),
        components: conditions.components,
        backends: conditions.backends,
        planes,
        config: conditions.config,
    })
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let exposition = Exposition::accepted(accept);
    let text = shared.metrics.encode(exposition);
    (
        [
            (header::CONTENT_TYPE, exposition.content_type()),
            (header::VARY, "accept"),
        ],
        text,
    )
        .into_response()
}

async fn not_found(uri: Uri) -> Response {
    let path = uri.path();
    let problem = Problem::new(404, "not_found", "nothing has this address");
    answer(
        &problem
            .detail(format!("the admin address has no `{path}`: try /health"))
            .instance(path),
    )
}

async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    let problem = Problem::new(405, "method_not_allowed", "this address does not take this method");
    answer(
        &problem
            .detail(format!("`{path}` does not take {method}"))
            .instance(path),
    )
}

fn answer(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(problem)).into_response();
    let media = header::HeaderValue::from_static(Problem::MEDIA_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

/// How long `/health` waits for the planes.
const PLANE_PATIENCE: Duration = Duration::from_secs(1);

/// How long answers that are on their way may take when the server stops.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
