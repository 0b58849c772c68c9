//! The table of the moment, and what is found in it.
//!
//! Handlers are asked what they have until each has answered; one that is called before that is asked then.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use chassis::lifecycle::{Component, Drain};
use futures_util::future::join_all;
use tokio::{task::spawn_blocking, time::timeout};
use tracing::debug;

use super::{CallError, Caller, Catalog, Function, Source, Table, table::Named};
use crate::{access_log::AccessLog, telemetry::Telemetry};

/// All functions that can be called; a cheap handle, clones share one table.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    catalog: Mutex<Catalog>,
    table: ArcSwap<Table>,
    telemetry: Telemetry,
    access_log: AccessLog,
    /// Catalogs that have been in use, this one too.
    generation: AtomicU64,
    /// Changes that are being prepared.
    changes: AtomicU64,
}

/// Another catalog, whose new handlers have been asked what they have; dropped, it changes nothing.
#[derive(Debug)]
pub(crate) struct Change {
    shared: Arc<Shared>,
    catalog: Option<Catalog>,
    sources: Vec<Arc<Source>>,
}

/// What stands at a path.
#[derive(Debug)]
pub(crate) enum Found {
    Function(Arc<Function>),
    /// Nothing yet: a handler that is not there may have it.
    Unsure,
    Nothing,
}

impl Registry {
    /// The functions that are known without asking anybody.
    pub(crate) fn new(catalog: Catalog, telemetry: Telemetry, access_log: AccessLog) -> Self {
        let table = Table::new(catalog.sources(&[]), &Table::default(), &telemetry);
        Self {
            shared: Arc::new(Shared {
                catalog: Mutex::new(catalog),
                table: ArcSwap::from_pointee(table),
                telemetry,
                access_log,
                generation: AtomicU64::new(1),
                changes: AtomicU64::new(0),
            }),
        }
    }

    /// Makes ready for another catalog: handlers that are new are asked what they have, for a few seconds at most, so that nothing
    /// is missing once it is in use. Until then everything is served as before.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub(crate) async fn prepare(&self, catalog: Catalog) -> Change {
        self.shared.changes.fetch_add(1, Ordering::SeqCst);
        let before = self.table();
        let catalog = catalog.keeping(before.sources());
        let change = Change {
            shared: Arc::clone(&self.shared),
            sources: catalog.sources(before.sources()),
            catalog: Some(catalog),
        };
        let fresh = change.sources.iter().filter(|source| source.is_unheard());
        let asked = join_all(fresh.map(|source| source.ask()));
        if timeout(ASKING, asked).await.is_err() {
            debug!("some handlers have not said what they have, going on without");
        }
        change
    }

    /// The number of the catalog in use where another is being prepared.
    pub(crate) fn reloading(&self) -> Option<u64> {
        let is_reloading = self.shared.changes.load(Ordering::SeqCst) > 0;
        is_reloading.then(|| self.shared.generation.load(Ordering::SeqCst))
    }

    /// Where calls are told of.
    pub(crate) fn access_log(&self) -> &AccessLog {
        &self.shared.access_log
    }

    /// The table as it is now.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.shared.table.load_full()
    }

    /// What stands at a path.
    pub(crate) fn at(&self, path: &str) -> Found {
        match self.shared.table.load().by_path(path) {
            Some(function) => Found::Function(Arc::clone(function)),
            None if self.is_unsure() => Found::Unsure,
            None => Found::Nothing,
        }
    }

    /// The function with this name; without its package it has to be in one alone.
    pub(crate) fn named(&self, package: Option<&str>, name: &str) -> Result<Arc<Function>, CallError> {
        let table = self.shared.table.load();
        let what = match table.by_name(package, name) {
            Named::One(function) => return Ok(Arc::clone(function)),
            Named::Several => {
                let what = format!("function `{name}` is in several packages: name its `package`");
                return Err(CallError::NotFound { what });
            }
            Named::None if self.is_unsure() => {
                return Err(CallError::Unavailable {
                    function: name.to_owned(),
                    why: "a handler that may have it is not there yet",
                    source: None,
                });
            }
            Named::None => match package {
                Some(package) if !table.has_package(package) => format!("there is no package `{package}`"),
                Some(package) => format!("there is no function `{name}` in package `{package}`"),
                None => format!("there is no function `{name}`"),
            },
        };
        Err(CallError::NotFound { what })
    }

    /// The same function once its handler has said what it takes, where it had not been asked.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub(crate) async fn sure(&self, function: Arc<Function>, caller: &Caller) -> Result<Arc<Function>, CallError> {
        if !function.source.is_unheard() {
            return Ok(function);
        }
        if let Err(error) = self.ask(&function.source).await {
            return Err(function.refuse(CallError::of_exchange(&function.full_name(), error), caller));
        }
        self.named(Some(&function.package), &function.name)
    }

    /// Looks who is in the folders, and asks handlers what they have, until the drain begins; `component` is ready when each handler
    /// that the configuration names has answered.
    pub(crate) async fn follow(self, component: Component, drain: Drain) {
        loop {
            let round = async {
                self.look().await;
                let table = self.table();
                let changing = table.sources().iter().filter(|source| source.may_change());
                join_all(changing.map(|source| self.ask(source))).await
            };
            let asked = tokio::select! {
                biased;
                () = drain.begun() => return,
                asked = round => asked,
            };
            let mut is_complete = true;
            for error in asked.into_iter().filter_map(Result::err) {
                debug!(%error, "a handler has not said what it has, asking again");
                if is_complete && self.is_unsure() {
                    component.not_ready(error.to_string());
                }
                is_complete = false;
            }
            if !self.is_unsure() {
                component.ready();
            }
            let pause = if is_complete { LOOK } else { AGAIN };
            tokio::select! {
                () = drain.begun() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Takes up handlers that have come into the folders, and lets go of those that have left.
    async fn look(&self) {
        let shared = Arc::clone(&self.shared);
        if shared.catalog().folders.is_empty() {
            return;
        }
        let looked = spawn_blocking(move || {
            let catalog = shared.catalog();
            let before = shared.table.load();
            let now = catalog.sources(before.sources());
            let is_same = now.len() == before.sources().len()
                && now
                    .iter()
                    .zip(before.sources())
                    .all(|(now, before)| Arc::ptr_eq(now, before));
            if !is_same {
                shared.renew(|_| now.clone());
            }
        });
        if let Err(error) = looked.await {
            debug!(%error, "the folders were not looked into");
        }
    }

    async fn ask(&self, source: &Source) -> Result<(), handlers::HandlerError> {
        if source.ask().await? {
            // Whoever comes second sees what both have heard.
            self.shared.renew(|before| before.sources().to_vec());
        }
        Ok(())
    }

    /// Whether there may be functions that nobody has told of yet.
    fn is_unsure(&self) -> bool {
        self.table().sources().iter().any(|source| source.is_awaited())
    }
}

impl Change {
    /// Puts it in the place of the catalog in use.
    pub(crate) fn apply(mut self) {
        let Some(catalog) = self.catalog.take() else { return };
        let mut current = self.shared.catalog();
        *current = catalog;
        self.shared.renew(|_| self.sources.clone());
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        self.shared.changes.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn renew(&self, sources: impl Fn(&Table) -> Vec<Arc<Source>>) {
        self.table
            .rcu(|before| Table::new(sources(before), before, &self.telemetry));
    }
}

/// Between two looks at handlers that may have come back with other functions.
const LOOK: Duration = Duration::from_secs(2);
/// Before a handler that was not there is asked again.
const AGAIN: Duration = Duration::from_millis(200);
/// How long new handlers are waited for before a changed configuration is in use.
const ASKING: Duration = Duration::from_secs(5);
