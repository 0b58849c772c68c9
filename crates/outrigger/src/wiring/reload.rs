//! Puts a changed configuration in the place of the one that runs: all of it, or nothing.
//!
//! Asked for by SIGHUP, by `POST /reload`, or by a file that has changed. What is in the file counts, not when it was
//! written: so a file that was replaced, or a Kubernetes `ConfigMap` whose links were switched, is noticed like any other.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chassis::{
    config::{Loaded, mask_urls},
    lifecycle::{Drain, Health},
    telemetry::in_full,
};
use serde_json::{Value, json};
use signals::Signals;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Mutex,
    task::spawn_blocking,
};
use tracing::{info, warn};
use wire::Problem;

use crate::config::{self, Root};

/// What runs can be changed through it; a cheap handle.
#[derive(Debug, Clone)]
pub struct Reloader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: Option<PathBuf>,
    environment: BTreeMap<String, String>,
    health: Health,
    planes: Planes,
    current: Mutex<Current>,
    /// Configurations that have been in use, this one too.
    generation: AtomicU64,
}

/// What a reload changes.
#[derive(Debug)]
pub struct Planes {
    pub signals: Option<Arc<signals::Plane>>,
    pub calls: Option<calls::Plane>,
}

#[derive(Debug)]
struct Current {
    root: Root,
    text: Option<Vec<u8>>,
}

/// Between looks at the file.
const PAUSE: Duration = Duration::from_secs(2);

impl Reloader {
    pub fn new(loaded: &Loaded<Root>, environment: BTreeMap<String, String>, planes: Planes, health: Health) -> Self {
        let text = loaded.file.as_ref().and_then(|file| fs::read(file).ok());
        Self(Arc::new(Inner {
            file: loaded.file.clone(),
            environment,
            health,
            planes,
            current: Mutex::new(Current {
                root: loaded.value.clone(),
                text,
            }),
            generation: AtomicU64::new(1),
        }))
    }

    /// Follows SIGHUP and the file until the drain begins.
    ///
    /// # Errors
    /// The system refuses to install the handler.
    pub fn follow(&self, drain: &Drain) -> io::Result<()> {
        let mut hang_up = signal(SignalKind::hangup())?;
        let (reloader, ending) = (self.clone(), drain.clone());
        drain.spawn("reload", async move {
            loop {
                tokio::select! {
                    () = ending.begun() => return,
                    _ = hang_up.recv() => {
                        // Said in the log, and in `/health`.
                        let _ = reloader.reload().await;
                    }
                    () = tokio::time::sleep(PAUSE) => reloader.look().await,
                }
            }
        });
        Ok(())
    }

    /// `POST /reload` and `GET /config`.
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/reload", post(post_reload))
            .route("/config", get(get_config))
            .with_state(self.clone())
    }

    /// Reloads where the file says something else than when it was read last.
    async fn look(&self) {
        let Some(file) = &self.0.file else { return };
        // While it is being replaced there may be none, or half of one: the next look will tell.
        let Some(text) = read(file).await else { return };
        if self.0.current.lock().await.text.as_ref() == Some(&text) {
            return;
        }
        let _ = self.reload().await;
    }

    /// Reads the configuration again and uses it; gives back its number.
    ///
    /// # Errors
    /// What is wrong with it, as `check` says it; everything is as it was.
    pub async fn reload(&self) -> Result<u64, String> {
        let inner = &self.0;
        let mut current = inner.current.lock().await;
        if let Some(file) = &inner.file {
            current.text = read(file).await;
        }
        let used = self.use_anew(&mut current).await;
        inner
            .health
            .config_reloaded(used.as_ref().map(drop).map_err(Clone::clone));
        match &used {
            Ok(generation) => info!(generation, "the configuration is reloaded"),
            Err(error) => warn!(error, "the configuration is not reloaded, the older one stays"),
        }
        used
    }

    async fn use_anew(&self, current: &mut Current) -> Result<u64, String> {
        let inner = &self.0;
        let loaded = config::load(inner.file.as_deref(), &inner.environment).map_err(|error| {
            let findings = error.findings().iter().map(ToString::to_string);
            findings.collect::<Vec<_>>().join("\n")
        })?;
        let Planes { signals, calls } = &inner.planes;
        let calls = match (calls, &loaded.value.calls) {
            // One of which the same is said is counted too: both planes count the same configurations.
            (Some(plane), Some(config)) => Some(plane.prepare(config).await.map_err(|error| in_full(&error))?),
            _ => None,
        };
        if let Some(plane) = signals {
            let signals = loaded.value.signals().unwrap_or_else(|| Signals {
                // Nothing is said of it any more: its listeners stay, with nowhere to send to.
                backends: BTreeMap::new(),
                routing: BTreeMap::new(),
                ..current.root.signals().unwrap_or_default()
            });
            plane.reload(&signals).map_err(|error| in_full(&error))?;
        }
        if let Some(change) = calls {
            change.apply();
        }
        if at_next_start(&loaded.value) != at_next_start(&current.root) {
            warn!("what has changed outside of `signals` and `calls`, or is new there, counts from the next start on");
        }
        current.root = loaded.value;
        Ok(inner.generation.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// The file's bytes, where they can be had.
async fn read(file: &Path) -> Option<Vec<u8>> {
    let file = file.to_owned();
    spawn_blocking(move || fs::read(file)).await.ok()?.ok()
}

/// What is not reloaded: all but the planes that can be changed, and whether there is one.
fn at_next_start(root: &Root) -> (Root, bool, bool) {
    let rest = Root {
        signals: None,
        sidecar: None,
        routing: BTreeMap::new(),
        backends: BTreeMap::new(),
        calls: None,
        ..root.clone()
    };
    (rest, root.signals().is_some(), root.calls.is_some())
}

async fn post_reload(State(reloader): State<Reloader>) -> Response {
    match reloader.reload().await {
        Ok(generation) => Json(json!({ "generation": generation })).into_response(),
        Err(error) => {
            let problem = Problem::new(422, "invalid_config", "the configuration cannot be used").detail(error);
            let mut response = (StatusCode::UNPROCESSABLE_ENTITY, Json(problem)).into_response();
            let media = HeaderValue::from_static(Problem::MEDIA_TYPE);
            response.headers_mut().insert(header::CONTENT_TYPE, media);
            response
        }
    }
}

async fn get_config(State(reloader): State<Reloader>) -> Response {
    let current = reloader.0.current.lock().await;
    match serde_json::to_value(&current.root) {
        Ok(mut shown) => {
            mask(&mut shown);
            Json(shown).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Masks what URLs carry.
fn mask(value: &mut Value) {
    match value {
        Value::String(text) => *text = mask_urls(text).into_owned(),
        Value::Array(values) => values.iter_mut().for_each(mask),
        Value::Object(members) => members.values_mut().for_each(mask),
        _ => {}
    }
}
